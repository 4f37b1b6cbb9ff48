import Domain
import RPC
import RPCMemory
import Schema
import Signing
import Simulation
import Storage
import Synchronization
import Testing
import TimeAndChance
import Translation

/// The whole job in one process: all services on one seeded executor over memory sign records, every signature verifies,
/// the audit finds nothing, and the same seed gives the same trace of every delivery on the network.
@Suite struct ClusterTests {
  private struct Run: Sendable {
    var trace: [String]
    var job: ChanceryV1.Job
    var audit: AuditReport
    var signatures: [StoredSignature]
    var keys: [Key]
  }

  private func run(
    seed: UInt64, records: Int = 1000, keys: UInt32 = 10, batchSize: UInt32 = 50, shape: SimulatedCluster.Shape
  ) throws -> Run {
    let world = World(seed: seed)
    let trace = Trace()
    let cluster = try SimulatedCluster(world: world, shape: shape) { link, bytes in
      trace.add("\(world.clock.elapsed) \(link.source)>\(link.destination) \(bytes)")
      return .deliver(after: .microseconds(world.random.next(below: 500)))
    }
    return try world.run {
      try await cluster.run { coordinator, keyKeeper in
        let request = ChanceryV1.GenerateKeysRequest(algorithm: .ed25519, count: keys)
        try await ChanceryV1.Keys.Client(keyKeeper).generate(request) { made in
          for try await _ in made {}
        }
        _ = try await ChanceryV1.Records.Client(coordinator).put { writer in
          try await writer.write(
            .init(records: (0..<records).map { .init(payload: Array("record \($0)".utf8), externalID: "r\($0)") }))
        }
        let jobs = ChanceryV1.Jobs.Client(coordinator)
        let submitted = try await jobs.submit(.init(algorithm: .ed25519, batchSize: batchSize))
        let ended = try await jobs.watch(.init(jobID: submitted.jobID, intervalMs: 100)) { updates in
          var last = submitted
          for try await job in updates { last = job }
          return last
        }
        let source = try #require(await cluster.database.source(named: Source.records))
        let query = SignatureQuery(source: source, job: nil, includesPayload: true)
        return Run(
          trace: trace.lines, job: ended, audit: try await cluster.database.audit(),
          signatures: try await cluster.database.signatures(query, after: nil, maximumBytes: 1 << 30),
          keys: try await cluster.database.keys(algorithm: nil, after: nil, limit: 1000))
      }
    }
  }

  private func expectAllSigned(_ run: Run, records: Int) throws {
    #expect(run.job.state == .done)
    #expect(run.job.counts?.signed == UInt64(records) && run.job.counts?.pending == 0)
    #expect(run.audit.violations == 0, "\(run.audit.findings.filter { $0.violations > 0 })")
    #expect(run.signatures.count == records)
    let keys = try Dictionary(uniqueKeysWithValues: run.keys.map { ($0.id, try PublicKey(der: $0.publicKey.span)) })
    for signature in run.signatures {
      let key = try #require(keys[signature.keyID])
      let payload = try #require(signature.payload)
      #expect(try key.verify(signature: signature.signature.span, payload: payload.span))
    }
  }

  @Test func aThousandRecordsAreSignedAndTheSeedDecidesEverything() throws {
    var shape = SimulatedCluster.Shape()
    shape.coordinators = 2
    shape.keyKeepers = 2
    shape.signers = 3
    let first = try run(seed: 11, shape: shape)
    try expectAllSigned(first, records: 1000)
    let second = try run(seed: 11, shape: shape)
    #expect(first.trace.count > 100)
    #expect(first.trace == second.trace)
    #expect(first.signatures.map(\.keyID) == second.signatures.map(\.keyID))
    #expect(try run(seed: 12, shape: shape).trace != first.trace)
  }

  @Test func oneKeyIsEnough() throws {
    var shape = SimulatedCluster.Shape()
    shape.signers = 3
    let run = try run(seed: 5, records: 200, keys: 1, batchSize: 20, shape: shape)
    try expectAllSigned(run, records: 200)
  }

  /// The rows of a mapped table are not Chancery's own: some may be gone when their batch is read.
  @Test func recordsThatAreGoneFailAlone() throws {
    let world = World(seed: 3)
    let cluster = try SimulatedCluster(world: world) { link, bytes in
      // Signers come when the batches are planned and the rows are gone.
      let isLate = bytes == 0 && link.source.hasPrefix("signer")
      return .deliver(after: isLate ? .seconds(5) : .microseconds(100))
    }
    let rows = (1...120).map { (id: Int64($0), payload: [UInt8($0)]) }
    let ledger = try cluster.database.addSource(named: "ledger", rows: rows)
    let counts = try world.run {
      try await cluster.run { coordinator, keyKeeper in
        let request = ChanceryV1.GenerateKeysRequest(algorithm: .ed25519, count: 2)
        try await ChanceryV1.Keys.Client(keyKeeper).generate(request) { made in for try await _ in made {} }
        let jobs = ChanceryV1.Jobs.Client(coordinator)
        let job = try await jobs.submit(.init(source: "ledger", algorithm: .ed25519, batchSize: 40))
        while try await !jobs.get(.init(jobID: job.jobID)).planned {
          try await world.clock.sleep(for: .milliseconds(100))
        }
        // Three of the first batch, and the whole last one.
        try cluster.database.replaceRows(of: ledger, with: rows.filter { (4...80).contains($0.id) })
        return try await jobs.watch(.init(jobID: job.jobID, intervalMs: 100)) { updates in
          var last: ChanceryV1.Job?
          for try await job in updates { last = job }
          return last?.counts
        }
      }
    }
    #expect(counts?.planned == 120 && counts?.signed == 77 && counts?.failed == 43 && counts?.pending == 0)
    #expect(world.clock.elapsed < .seconds(20), "no batch spent its budget")
  }
}
