import ArgumentParser
import Domain
import Foundation
import LocalServers
import RPC
import RPCTransport
import Schema
import Synchronization
import TimeAndChance

extension BenchCommand {
  struct Watch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure what it costs Logger to be watched.",
      discussion: """
        In a private cluster, while the main job runs: the processor time that each process takes, and its share of that of the \
        cluster. Every watcher has a connection of its own, over TLS. What watching costs the watchers is not counted. \
        Example: chancery bench watch --watchers 100 --interval 100
        """)

    @Option(parsing: .unconditional, help: "Records of the job.") var records = 100_000
    @Option(parsing: .unconditional, help: "How many keys.") var keys = 100
    @Option(parsing: .unconditional, help: "Records per batch.") var batchSize = BatchSize.default.rawValue
    @Option(parsing: .unconditional, help: "How many signers.") var signers = 2
    @Option(parsing: .unconditional, help: "How many watch.") var watchers = 100
    @Option(parsing: .unconditional, help: "Milliseconds between two snapshots.") var interval = 100
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard records > 0 else { throw ValidationError("--records \(records) is not positive") }
      guard BatchSize(rawValue: batchSize) != nil else {
        throw ValidationError("--batch-size \(batchSize) is not between 1 and \(BatchSize.range.upperBound)")
      }
      guard (1...10_000).contains(keys) else { throw ValidationError("--keys \(keys) is not between 1 and 10000") }
      guard (1...1000).contains(signers) else {
        throw ValidationError("--signers \(signers) is not between 1 and 1000")
      }
      guard (0...10_000).contains(watchers) else {
        throw ValidationError("--watchers \(watchers) is not between 0 and 10000")
      }
      guard (100...60_000).contains(interval) else {
        throw ValidationError("--interval \(interval) is not between 100 and 60000")
      }
    }

    func run() async throws {
      let job = MainJob(
        records: records, recordBytes: 192, keys: keys, algorithm: .default, batchSize: batchSize, isQuiet: true)
      var shape = LocalCluster.Shape()
      shape.signers = signers
      let rows = try await LocalCluster.with(shape) { cluster in
        let credentials = try await cluster.tls.map { try TLSCredentials($0) }
        let (coordinator, keyKeeper) = (await cluster.address(.coordinator), await cluster.address(.keykeeper))
        _ = try await Connection.with(keyKeeper, service: "keykeeper", tls: credentials) {
          try await job.generateKeys($0)
        }
        return try await Connection.with(coordinator, service: "coordinator", tls: credentials) { channel in
          try await job.generateRecords(channel)
          let logger = try Endpoint(parsing: await cluster.address(.logger))
          let audience = Audience(logger: logger, credentials: credentials, milliseconds: UInt32(interval))
          return try await audience.watching(watchers) {
            let before = (await cluster.processorTimes, ContinuousClock.now, audience.snapshots)
            let outcome = try await job.sign(channel)
            let after = (await cluster.processorTimes, ContinuousClock.now, audience.snapshots)
            let seconds = before.1.duration(to: after.1).inSeconds
            StandardError.write(
              "\(outcome.signed) records in \(seconds.text(digits: 1)) s, "
                + "\(after.2 - before.2) snapshots to \(watchers) watchers\n")
            return ProcessorRow.rows(before.0, after.0)
          }
        }
      }
      output.print(rows)
    }
  }
}

/// Those who watch.
private final class Audience: Sendable {
  private let logger: Endpoint
  private let credentials: TLSCredentials?
  private let milliseconds: UInt32
  private let taken = Atomic<Int>(0)

  init(logger: Endpoint, credentials: TLSCredentials?, milliseconds: UInt32) {
    (self.logger, self.credentials, self.milliseconds) = (logger, credentials, milliseconds)
  }

  /// How many snapshots have come to all of them together.
  var snapshots: Int { taken.load(ordering: .relaxed) }

  /// Has so many watch while `body` runs, from when each has its first snapshot.
  func watching<Value: Sendable>(_ count: Int, _ body: () async throws -> Value) async throws -> Value {
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      for _ in 0..<count {
        group.addTask {
          try await Connection.lending([self.logger], tls: self.credentials) { try await self.watch($0) }
        }
      }
      while snapshots < count { try await Task.sleep(for: .milliseconds(10)) }
      return try await body()
    }
  }

  private func watch(_ channel: any RPCChannel) async throws {
    let request = ChanceryV1.WatchMetricsRequest(intervalMs: milliseconds)
    try await ChanceryV1.Metrics.Client(channel).watch(request, options: CallOptions(waitForReady: true)) { snapshots in
      while try await snapshots.next() != nil { taken.add(1, ordering: .relaxed) }
    }
  }
}

/// What a process of a cluster has used of the processors.
private struct ProcessorRow: TableRow {
  var process: String
  var seconds: Double
  /// Of what all processes have used, from 0 to 1.
  var share: Double

  enum CodingKeys: String, CodingKey {
    case process
    case seconds = "cpu_seconds"
    case share
  }

  static let columns: [TableColumn] = [
    TableColumn("PROCESS"), TableColumn("CPU SECONDS", isNumber: true), TableColumn("SHARE", isNumber: true),
  ]

  var cells: [String] { [process, seconds.text(digits: 2), (100 * share).text(digits: 1) + " %"] }
  var resourceName: String { "process/\(process)" }

  /// What came between two looks, those who used most first.
  static func rows(_ before: [String: Duration], _ after: [String: Duration]) -> [ProcessorRow] {
    let used = after.map { name, time in (name: name, seconds: (time - (before[name] ?? .zero)).inSeconds) }
    let sum = used.reduce(0) { $0 + $1.seconds }
    return used.sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }.map {
      ProcessorRow(process: $0.name, seconds: $0.seconds, share: sum > 0 ? $0.seconds / sum : 0)
    }
  }
}
