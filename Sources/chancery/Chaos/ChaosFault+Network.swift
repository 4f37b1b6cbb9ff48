import FaultyNetworking

// What networks and clocks do.
extension ChaosFault {
  /// Long enough that what waits for an answer gives up.
  private static let partition = 8.0
  /// Long enough that a connection on which nothing comes back is given up.
  private static let longerThanKeepalive = 25.0

  static let network = [
    cut(
      "signer-coordinators", "a signer cannot reach the coordinators, nor they it", ("signer-1", "coordinator"),
      [.givenOutAgain]),
    cut(
      "signer-keykeepers", "a signer cannot reach the KeyKeepers, for longer than a lease lives",
      ("signer-1", "keykeeper"), [.leftBehind], seconds: longerThanLease),
    cut(
      "coordinator-postgres", "a coordinator cannot reach Postgres", ("coordinator-1", "postgres"),
      [.event("coordinator.reclaimed")]),
    cut(
      "keykeepers-postgres", "the KeyKeepers cannot reach Postgres", ("keykeeper", "postgres"),
      [.stoodStill]),
    cut(
      "keykeepers-redis", "the KeyKeepers cannot reach Redis", ("keykeeper", "redis"), [.event("cache.failed")]),
    cut(
      "all-logger", "nobody can reach Logger", ("", "logger"),
      [.event("telemetry.stream_lost")], seconds: longerThanKeepalive),
    cut(
      "all-coordinator", "a coordinator cannot reach anybody, nor be reached", ("", "coordinator-1"),
      [.givenOutAgain]),
    ChaosFault(
      name: "network-one-way-to-coordinators", layer: .network,
      about: "what a signer sends does not arrive; what is sent to it does", effects: [.givenOutAgain]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.weather(run.cluster.proxies("signer-1", "coordinator"), for: partition) { $0.held = [.toServer] }
    },
    ChaosFault(
      name: "network-one-way-to-signer", layer: .network,
      about: "what is sent to a signer does not arrive; what it sends does",
      effects: [.event("result.refused")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.weather(run.cluster.proxies("signer-1", "coordinator"), for: partition) { $0.held = [.toClient] }
    },
    ChaosFault(
      name: "network-half-open", layer: .network,
      about: "what a signer and the coordinators send each other is lost, and no connection is closed",
      effects: [.givenOutAgain, .event("signer.stream_lost")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.weather(run.cluster.proxies("signer-1", "coordinator"), for: longerThanKeepalive) {
        $0.lost = [.toServer, .toClient]
      }
    },
    ChaosFault(
      name: "network-flapping", layer: .network, about: "all links are cut and mended twenty times",
      effects: [.stoodStill]
    ) { run in
      try await run.untilSigned(0.1)
      for _ in 1...20 {
        try await run.weather(run.cluster.proxies("", ""), for: 0.3) { $0.held = [.toServer, .toClient] }
        try await run.sleep(0.1)
      }
    },
    ChaosFault(
      name: "network-slow", layer: .network,
      about: "all that passes between services takes 30 ms longer, for ten seconds",
      effects: [.wentOn]
    ) { run in
      try await run.untilSigned(0.1)
      try await run.weather(run.cluster.proxies("", ""), for: 10) { $0.delay = .milliseconds(30) }
    },
    ChaosFault(
      name: "network-late", layer: .network,
      about: "results arrive late, when their batches were given out again", effects: [.givenOutAgain]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.weather(run.cluster.proxies("signer", "coordinator-1"), for: 5) { $0.held = [.toServer] }
    },
    ChaosFault(
      name: "network-cut-in-mid-frame", layer: .network,
      about: "connections of signers and coordinators break in the middle of a frame, six times",
      effects: [.event("signer.stream_lost")]
    ) { run in
      for share in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] {
        try await run.untilSigned(share)
        let links = await run.cluster.proxies("signer", "coordinator")
        let before = links.reduce(0) { $0 + $1.hits.connections }
        for (index, link) in links.enumerated() { link.cutNext(index.isMultiple(of: 2) ? .toServer : .toClient) }
        try await eventually("connections were cut", within: .seconds(20)) {
          links.reduce(0) { $0 + $1.hits.connections } > before
        }
        run.hit(links.reduce(0) { $0 + $1.hits.connections } - before)
      }
    },
    ChaosFault(
      name: "network-cut-in-mid-statement", layer: .network,
      about: "connections to Postgres break in the middle of a statement or of its answer, six times",
      effects: [.databaseMissed]
    ) { run in
      for share in [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] {
        try await run.untilSigned(share)
        let links = await run.cluster.proxies("", "postgres")
        let before = links.reduce(0) { $0 + $1.hits.connections }
        for link in links { link.cutNext(share == 0.1 || share == 0.3 ? .toServer : .toClient) }
        try await eventually("connections were cut", within: .seconds(20)) {
          links.reduce(0) { $0 + $1.hits.connections } > before
        }
        run.hit(links.reduce(0) { $0 + $1.hits.connections } - before)
      }
    },
    ChaosFault(
      name: "network-resets", layer: .network, about: "every connection of the cluster is reset, five times",
      effects: [.event("signer.stream_lost")]
    ) { run in
      for share in [0.1, 0.25, 0.4, 0.55, 0.7] {
        try await run.untilSigned(share)
        for link in await run.cluster.proxies("", "") { run.hit(link.reset()) }
      }
    },
  ]

  private static func cut(
    _ name: String, _ about: String, _ ends: (String, String), _ effects: [Effect], seconds: Double = partition
  ) -> ChaosFault {
    ChaosFault(
      name: "network-partition-\(name)", layer: .network, about: about, effects: effects
    ) { run in
      try await run.untilSigned(0.2)
      var links = await run.cluster.proxies(ends.0, ends.1)
      // A process that is cut off from all is so from what it calls, too.
      if ends.0.isEmpty { links += await run.cluster.proxies(ends.1, "") }
      try await run.weather(links, for: seconds) { $0.held = [.toServer, .toClient] }
    }
  }

  /// The time of day alone: a process whose other clocks differ from those of the kernel's timers hangs, and there is no such
  /// machine. Not that of Redis: its allocator asks for the time before faketime is ready; the tests of its scripts tell it.
  static let clocks = [
    clock("signers-forward", "the time of day of two signers jumps an hour on", ["signer-1", "signer-2"], "+3600"),
    clock("signers-back", "the time of day of two signers jumps an hour back", ["signer-1", "signer-2"], "-3600"),
    clock("signers-fast", "the time of day of two signers runs at double speed", ["signer-1", "signer-2"], "+0 x2"),
    clock("coordinator-forward", "the time of day of a coordinator jumps an hour on", ["coordinator-1"], "+3600"),
    clock("coordinator-fast", "the time of day of a coordinator runs at double speed", ["coordinator-1"], "+0 x2"),
    clock(
      "keykeepers-back", "the time of day of the KeyKeepers jumps an hour back", ["keykeeper-1", "keykeeper-2"],
      "-3600"),
    clock(
      "keykeepers-fast", "the time of day of the KeyKeepers runs at double speed", ["keykeeper-1", "keykeeper-2"],
      "+0 x2"),
    clock("postgres-forward", "the time of day of Postgres jumps an hour on", ["postgres"], "+3600"),
    clock("postgres-back", "the time of day of Postgres jumps an hour back", ["postgres"], "-3600"),
  ]

  private static func clock(_ name: String, _ about: String, _ processes: [String], _ change: String) -> ChaosFault {
    ChaosFault(
      name: "clock-\(name)", layer: .clock, about: about,
      // The third signer's clock is right in all of them.
      effects: [processes[0] == "postgres" ? .jumped : .clock(processes[0], than: "signer-3")],
      shape: { $0.clocks.formUnion(processes) }
    ) { run in
      try await run.untilSigned(0.2)
      for process in processes {
        try await run.cluster.setClock(process, change)
        run.hit()
      }
      try await run.sleep(5)
      for process in processes { try await run.cluster.setClock(process, "+0") }
    }
  }
}
