import Domain
import FaultyNetworking
import Foundation
import LocalServers
import NIOCore
import NIOPosix
import RPC
import Schema
import Translation

// What operators and clients do to a cluster.
extension ChaosFault {
  static let operations = [
    ChaosFault(
      name: "rolling-restart", layer: .operation,
      about: "every service is stopped in order and started again, one by one",
      effects: [.event("signer.disconnected")]
    ) { run in
      try await run.untilSigned(0.1)
      for name in await run.cluster.serviceNames {
        let service = await run.cluster.service(name)
        await service.process.signal(SIGTERM)
        let status = try await service.process.waitForExit(within: .seconds(35))
        guard status == 0 else { throw ChaosError("\(name) did not stop in order: it ended with status \(status)") }
        run.hit()
        try await run.restart(name)
      }
    },
    ChaosFault(
      name: "keys-disabled", layer: .operation,
      about: "half of the keys are disabled while they are in use, and enabled again",
      effects: [.event("batch.refused")]
    ) { run in
      try await run.untilSigned(0.2)
      for _ in 1...3 {
        for key in try await run.keys().prefix(6) {
          try await run.onKeys { _ = try await $0.disable(.init(keyID: key)) }
          run.hit()
        }
        try await run.sleep(0.3)
        for key in try await run.keys().prefix(6) {
          try await run.onKeys { _ = try await $0.enable(.init(keyID: key)) }
        }
      }
    },
    ChaosFault(
      name: "keys-retired", layer: .operation, about: "half of the keys are retired while they are in use",
      effects: [.rows("retired keys", "SELECT count(*) FROM chancery.keys WHERE state = 'retired'")]
    ) { run in
      try await run.untilSigned(0.2)
      for key in try await run.keys().prefix(6) {
        try await run.onKeys { _ = try await $0.retire(.init(keyID: key)) }
        run.hit()
      }
    },
    ChaosFault(
      name: "job-paused", layer: .operation, about: "the job is paused and goes on, five times",
      effects: [.stoodStill]
    ) { run in
      for share in [0.1, 0.25, 0.4, 0.55, 0.7] {
        try await run.untilSigned(share)
        try await run.onJobs { _ = try await $0.pause(.init(jobID: $1)) }
        run.hit()
        try await run.sleep(0.5)
        try await run.onJobs { _ = try await $0.resume(.init(jobID: $1)) }
      }
    },
    ChaosFault(
      name: "second-job", layer: .operation, about: "another job signs the same records in other batches",
      effects: [.rows("jobs", "SELECT count(*) - 1 FROM chancery.jobs WHERE state = 'done'")]
    ) { run in
      try await run.untilSigned(0.1)
      run.hit()
      try await run.onJobs { jobs, _ in
        let other = try await jobs.submit(.init(algorithm: Canary.algorithm.message, batchSize: 77))
        try await eventually("the other job ended", within: .seconds(60)) {
          try await jobs.get(.init(jobID: other.jobID)).state == .done
        }
      }
    },
    ChaosFault(
      name: "connections-10000", layer: .operation, about: "ten thousand connections that say nothing to a coordinator",
      effects: [.event("tls.handshake_failed")]
    ) { run in
      try await run.untilSigned(0.1)
      try await run.crowd("coordinator-1", 10_000)
    },
    ChaosFault(
      name: "slow-consumers", layer: .operation, about: "fifty clients ask for streams and do not read them",
      effects: [.wentOn]
    ) { run in
      try await run.untilSigned(0.3)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 1...50 {
          group.addTask {
            try await run.onRecords { records, job in
              try await records.export(.init(jobID: job)) { _ in
                run.hit()
                try await Task.sleep(for: .seconds(5))
              }
            }
          }
        }
        try await group.waitForAll()
      }
    },
    ChaosFault(
      name: "certificates-replaced", layer: .certificates,
      about: "all certificates and their authority are replaced, and every connection is made anew",
      effects: [.event("signer.stream_lost")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.issueCertificates()
      for link in await run.cluster.proxies("", "") { run.hit(link.reset()) }
    },
    ChaosFault(
      name: "certificates-expired", layer: .certificates,
      about: "all certificates expire; connections cannot be made again until they are renewed",
      effects: [.event("signer.stream_lost"), .event("tls.handshake_failed")]
    ) { run in
      try await run.untilSigned(0.1)
      try await run.cluster.issueCertificates(validFor: 1)
      try await run.sleep(2)
      for link in await run.cluster.proxies("signer", "") { run.hit(link.reset()) }
      try await run.sleep(5)
      try await run.cluster.issueCertificates()
    },
  ]
}

extension ChaosRun {
  /// The ids of all keys.
  func keys() async throws -> [Int64] {
    var ids: [Int64] = []
    try await onKeys { ids = try await $0.list(.init()).keys.map(\.keyID) }
    return ids
  }

  func onKeys(_ body: (ChanceryV1.Keys.Client) async throws -> Void) async throws {
    try await with(.keykeeper) { try await body(ChanceryV1.Keys.Client($0)) }
  }

  func onJobs(_ body: (ChanceryV1.Jobs.Client, String) async throws -> Void) async throws {
    let id = try jobID()
    try await with(.coordinator) { try await body(ChanceryV1.Jobs.Client($0), id) }
  }

  func onRecords(_ body: (ChanceryV1.Records.Client, String) async throws -> Void) async throws {
    let id = try jobID()
    try await with(.coordinator) { try await body(ChanceryV1.Records.Client($0), id) }
  }

  /// Opens connections to a service and keeps them for some seconds; each counts.
  func crowd(_ name: String, _ count: Int) async throws {
    let (address, pid) = await (cluster.service(name).address, cluster.service(name).process.pid)
    guard let port = Int(address.split(separator: ":").last ?? "") else { return }
    for process in [pid, getpid()] {
      try await Tool.run(["prlimit", "--pid", "\(process)", "--nofile=\(2 * count):\(2 * count)"])
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var open: [any Channel] = []
    for start in stride(from: 0, to: count, by: 100) {
      try await withThrowingTaskGroup(of: (any Channel).self) { connecting in
        for _ in start..<min(start + 100, count) {
          connecting.addTask {
            try await ClientBootstrap(group: group).connectTimeout(.seconds(60))
              .connect(host: "127.0.0.1", port: port).get()
          }
        }
        for try await channel in connecting { open.append(channel) }
      }
    }
    hit(open.count)
    try await sleep(3)
    try await group.shutdownGracefully()
  }
}
