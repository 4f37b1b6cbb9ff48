import Failpoints
import FaultyNetworking
import LocalServers

// Processes that end, stop, or find nothing left to work with.
extension ChaosFault {
  /// A step of a service, how often it is passed before the fault, and what is seen when it ends or stops there.
  private struct Step {
    var point: Failpoint
    var pass: Int
    var about: String
    var killed: [Effect]
    var stopped: [Effect]

    /// The process in which it is.
    var victim: String { point.service == "logger" ? "logger" : "\(point.service)-1" }
    var label: String { String(point.rawValue.split(separator: ".")[1]) }
  }

  private static let steps = [
    Step(
      point: .signerLeased, pass: 10, about: "after it has leased a key", killed: [.givenOutAgain],
      stopped: [.givenOutAgain]),
    Step(
      point: .signerSigned, pass: 10, about: "after signing, before the commit", killed: [.givenOutAgain],
      stopped: [.givenOutAgain, .event("result.refused"), .event("batch.refused")]),
    Step(
      point: .signerSent, pass: 10, about: "when its result is sent",
      killed: [.event("signer.disconnected"), .leftBehind],
      stopped: [.leftBehind]),
    Step(
      point: .signerCommitted, pass: 10, about: "after the commit, before it gives the key back",
      killed: [.event("signer.disconnected"), .leftBehind], stopped: [.leftBehind]),
    Step(
      point: .coordinatorClaimed, pass: 5, about: "after it has claimed batches",
      killed: [.event("coordinator.reclaimed"), .givenOutAgain],
      stopped: [.event("coordinator.reclaimed"), .givenOutAgain]),
    Step(
      point: .coordinatorReceived, pass: 10, about: "with a result, before the commit",
      killed: [.event("coordinator.reclaimed")], stopped: [.event("coordinator.reclaimed")]),
    Step(
      point: .coordinatorStored, pass: 10, about: "after the commit, before it says so",
      killed: [.event("signer.stream_lost")], stopped: [.event("coordinator.reclaimed")]),
    Step(
      point: .coordinatorPlanned, pass: 2, about: "after it has planned batches",
      killed: [.event("signer.stream_lost")], stopped: [.event("coordinator.reclaimed")]),
    Step(
      point: .keyKeeperPicked, pass: 10, about: "after the cache has picked a key, before the grant",
      killed: [.text("failpoint keykeeper.picked: kill", by: "keykeeper")],
      stopped: [.text("failpoint keykeeper.picked: stop", by: "keykeeper")]),
    Step(
      point: .keyKeeperGranted, pass: 10, about: "after the grant, before the holder knows", killed: [.leftBehind],
      stopped: [.leftBehind]),
    Step(
      point: .keyKeeperEnded, pass: 10, about: "after a lease has ended, before the cache knows",
      killed: [.text("failpoint keykeeper.ended: kill", by: "keykeeper")],
      stopped: [.text("failpoint keykeeper.ended: stop", by: "keykeeper")]),
    Step(
      point: .keyKeeperFreed, pass: 10, about: "after the cache has freed a key, before the audit trail knows",
      killed: [.text("failpoint keykeeper.freed: kill", by: "keykeeper")],
      stopped: [.text("failpoint keykeeper.freed: stop", by: "keykeeper")]),
    Step(
      point: .loggerStored, pass: 1, about: "after it has stored events, before it says so",
      killed: [.text("failpoint logger.stored: kill", by: "logger")],
      stopped: [.text("failpoint logger.stored: stop", by: "logger")]),
  ]

  static let killed = steps.map { step in
    ChaosFault(
      name: "\(step.point.service)-killed-\(step.label)", layer: .process,
      about: "kill -9 of a \(step.point.service) \(step.about)", effects: step.killed,
      shape: { $0.failpoints[step.victim] = "\(step.point.rawValue)=kill@\(step.pass)" },
      inflict: { run in
        try await run.untilEnded(step.victim)
        try await run.sleep(1)
        try await run.restart(step.victim)
      })
  }

  static let stopped = steps.map { step in
    ChaosFault(
      name: "\(step.point.service)-stopped-\(step.label)", layer: .process,
      about: "kill -STOP of a \(step.point.service) \(step.about), for longer than a lease lives",
      effects: step.stopped,
      shape: { $0.failpoints[step.victim] = "\(step.point.rawValue)=stop@\(step.pass)" },
      inflict: { run in
        try await run.untilStopped(step.victim)
        try await run.sleep(longerThanLease)
        await run.resume(step.victim)
      })
  }

  /// The cache is rebuilt when there are keys, and again when it has forgotten them.
  private static func rebuilding(
    _ action: Failpoint.Action, _ end: @escaping @Sendable (ChaosRun, String) async throws -> Void
  ) -> ChaosFault {
    let (verb, signal) = action == .kill ? ("killed", "kill -9") : ("stopped", "kill -STOP")
    return ChaosFault(
      name: "keykeeper-\(verb)-rebuilding", layer: .process,
      about: "\(signal) of a KeyKeeper while it rebuilds a cache that has forgotten everything", effects: [.rebuilt],
      shape: { $0.failpoints["keykeeper-1"] = "\(Failpoint.keyKeeperRebuilding.rawValue)=\(action.rawValue)@2" }
    ) { run in
      try await run.untilSigned(0.2)
      try await run.redis("FLUSHALL")
      try await end(run, "keykeeper-1")
    }
  }

  static let processes = [
    rebuilding(.kill) { run, name in
      try await run.untilEnded(name)
      try await run.sleep(1)
      try await run.restart(name)
    },
    rebuilding(.stop) { run, name in
      try await run.untilStopped(name)
      try await run.sleep(longerThanLease)
      await run.resume(name)
    },
    ChaosFault(
      name: "all-signers-killed", layer: .process, about: "kill -9 of all signers at once",
      effects: [.givenOutAgain, .leftBehind]
    ) { run in
      try await run.untilSigned(0.2)
      let names = ["signer-1", "signer-2", "signer-3"]
      for name in names { try await run.kill(name) }
      try await run.sleep(1)
      for name in names { try await run.restart(name) }
    },
    ChaosFault(
      name: "everything-killed", layer: .process, about: "kill -9 of every service, Postgres and Redis at once",
      effects: [.givenOutAgain, .rebuilt]
    ) { run in
      try await run.untilSigned(0.2)
      let names = await run.cluster.serviceNames
      for name in names { try await run.kill(name) }
      try await run.cluster.postgres.kill9()
      try await run.cluster.redis.kill9()
      try await run.cluster.postgres.restart()
      try await run.cluster.redis.restart()
      for name in names { try await run.restart(name) }
    },
    ChaosFault(
      name: "descriptors-exhausted", layer: .process, about: "a coordinator may open no further file or connection",
      effects: [.event("signer.stream_lost"), .databaseMissed]
    ) { run in
      try await run.untilSigned(0.1)
      let pid = await run.cluster.service("coordinator-1").process.pid
      let limits = try await Tool.run(["prlimit", "--pid", "\(pid)", "--nofile", "-o", "SOFT", "--noheadings"])
      let before = limits.split(separator: "\n")[0].filter { !$0.isWhitespace }
      try await Tool.run(["prlimit", "--pid", "\(pid)", "--nofile=8:"])
      // Whoever was connected has to connect again, and cannot.
      for proxy in await run.cluster.proxies(around: "coordinator-1") { run.hit(proxy.reset()) }
      try await run.sleep(5)
      try await Tool.run(["prlimit", "--pid", "\(pid)", "--nofile=\(before):"])
    },
  ]
}

extension Failpoint {
  /// The kind of service in which it is.
  fileprivate var service: String { String(rawValue.split(separator: ".")[0]) }
}
