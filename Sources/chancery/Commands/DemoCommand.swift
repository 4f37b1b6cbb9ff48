import ArgumentParser
import Domain
import Foundation
import RPC
import RPCTransport
import Schema
import Storage

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Sign random records in a private cluster, verify every signature, and audit.",
    discussion: """
      Starts Postgres, Redis, a coordinator, a keykeeper, a logger and signers as processes of their own, and leaves nothing \
      behind. Example: chancery demo --records 100000 --keys 100 --batch-size 1000 -o json
      """)

  @Option(parsing: .unconditional, help: "How many records.") var records = 100_000
  @Option(parsing: .unconditional, help: "Bytes of payload of each record.") var recordBytes = 192
  @Option(parsing: .unconditional, help: "How many keys.") var keys = 100
  @Option(help: "How to sign: \(SignatureAlgorithm.allValueStrings.joined(separator: ", ")).")
  var algorithm = SignatureAlgorithm.default
  @Option(parsing: .unconditional, help: "Records per batch, 1 to 10000.") var batchSize = BatchSize.default.rawValue
  @Option(parsing: .unconditional, help: "How many signers.") var signers = 2
  @Option(parsing: .unconditional, help: "How many signatures the openssl program checks too.") var opensslSample = 1000
  @Flag(help: "Print how much the peak memory of every service grew between 10% and 100% of the job.")
  var memory = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard records > 0 else { throw ValidationError("--records \(records) is not positive") }
    guard (1...10_000).contains(keys) else { throw ValidationError("--keys \(keys) is not between 1 and 10000") }
    guard BatchSize(rawValue: batchSize) != nil else {
      throw ValidationError("--batch-size \(batchSize) is not between 1 and \(BatchSize.range.upperBound)")
    }
    guard (0...Record.maximumPayloadBytes).contains(recordBytes) else {
      throw ValidationError("--record-bytes \(recordBytes) is not between 0 and \(Record.maximumPayloadBytes)")
    }
    guard (1...64).contains(signers) else { throw ValidationError("--signers \(signers) is not between 1 and 64") }
  }

  func run() async throws {
    let isQuiet = !output.output.isForPeople
    let note: @Sendable (String) -> Void = { text in if !isQuiet { StandardError.write(text + "\n") } }
    var shape = LocalCluster.Shape()
    shape.signers = signers
    note("starting Postgres, Redis, coordinator, keykeeper, logger and \(signers) signers")
    let summary = try await LocalCluster.with(shape) { cluster in
      let coordinator = await cluster.address(.coordinator)
      let keyKeeper = await cluster.address(.keykeeper)
      let tls = try await cluster.tls.map { try TLSCredentials(reading: $0) }
      let job = MainJob(
        records: records, recordBytes: recordBytes, keys: keys, algorithm: algorithm, batchSize: batchSize,
        isQuiet: isQuiet)
      let publicKeys = try await Connection.with(keyKeeper, service: "keykeeper", tls: tls) {
        try await job.generateKeys($0)
      }
      return try await Connection.with(coordinator, service: "coordinator", tls: tls) { channel in
        try await job.generateRecords(channel)
        var early: [String: Int] = [:]
        let signing = try await job.sign(channel) { done in
          if memory, early.isEmpty, done >= UInt64(records) / 10 { early = await cluster.peakMemory }
        }
        let growth = memory ? MemoryGrowth.between(early, await cluster.peakMemory) : nil
        let (verified, byOpenSSL) = try await job.verify(
          signing.jobID, publicKeys, sample: min(opensslSample, records), channel)
        note("auditing")
        let audit = try await Audit.run(cluster.databaseURL)
        return DemoSummary(
          job: job, signing: signing, verified: verified, byOpenSSL: byOpenSSL, audit: audit, memory: growth)
      }
    }
    output.print(summary, name: "demo/\(summary.auditViolations == 0 ? "passed" : "failed")", text: summary.text)
    try summary.check()
  }
}

/// How the peak memory of a service grew while a job ran: hardly, for nothing that it keeps depends on the size of the job.
struct MemoryGrowth: Encodable, Sendable {
  var service: String
  var bytesAt10Percent: Int
  var bytesAtEnd: Int

  enum CodingKeys: String, CodingKey {
    case service
    case bytesAt10Percent = "bytes_at_10_percent"
    case bytesAtEnd = "bytes_at_end"
  }

  static func between(_ early: [String: Int], _ late: [String: Int]) -> [MemoryGrowth] {
    late.sorted { $0.key < $1.key }.map { service, bytes in
      MemoryGrowth(service: service, bytesAt10Percent: early[service] ?? 0, bytesAtEnd: bytes)
    }
  }

  var text: String {
    let growth = Double(bytesAtEnd - bytesAt10Percent)
    let percent = (100 * growth / Double(max(1, bytesAt10Percent))).text(digits: 1)
    return "\((Double(bytesAtEnd) / 1_048_576).text(digits: 1)) MiB at its peak, "
      + "\((growth / 1_048_576).text(digits: 1)) MiB (\(percent)%) more than at 10% of the job"
  }
}

/// What the demo prints at its end.
struct DemoSummary: Encodable, Sendable {
  var records: Int
  var keys: Int
  var algorithm: String
  var batchSize: Int
  var signed: UInt64
  var failed: UInt64
  var verified: Int
  var verifiedByOpenSSL: Int
  var faults: [Verification.Fault]
  var doubleSigned: Int64
  var keyOverlaps: Int64
  var lruInversions: Int64
  var auditViolations: Int64
  var seconds: Double
  var recordsPerSecond: Double
  var memory: [MemoryGrowth]?

  enum CodingKeys: String, CodingKey {
    case records, keys, algorithm
    case batchSize = "batch_size"
    case signed, failed, verified
    case verifiedByOpenSSL = "verified_by_openssl"
    case faults
    case doubleSigned = "double_signed"
    case keyOverlaps = "key_overlaps"
    case lruInversions = "lru_inversions"
    case auditViolations = "audit_violations"
    case seconds
    case recordsPerSecond = "records_per_second"
    case memory
  }

  init(
    job: MainJob, signing: MainJob.Outcome, verified outcome: Verification.Outcome, byOpenSSL: Int, audit: AuditReport,
    memory: [MemoryGrowth]?
  ) {
    records = job.records
    keys = job.keys
    algorithm = job.algorithm.name
    batchSize = job.batchSize
    signed = signing.signed
    failed = signing.failed
    verified = outcome.checked - outcome.faults.count
    verifiedByOpenSSL = byOpenSSL
    faults = Array(outcome.faults.prefix(10))
    doubleSigned = audit.violations(of: .signedOnce)
    keyOverlaps = audit.violations(of: .keyExclusive)
    lruInversions = audit.violations(of: .leastRecentlyUsed)
    auditViolations = audit.violations
    seconds = signing.seconds
    recordsPerSecond = signing.seconds > 0 ? (Double(signing.signed) / signing.seconds).rounded() : 0
    self.memory = memory
  }

  var text: String {
    let rows: [(String, String)] =
      [
        ("records", Int64(records).grouped),
        ("signed", "\(signed.grouped) with \(keys) keys (\(algorithm)), batches of \(batchSize)"),
        ("failed", failed.grouped),
        (
          "verified",
          "\(Int64(verified).grouped), of these \(Int64(verifiedByOpenSSL).grouped) also by the openssl program"
        ),
        ("signed twice", doubleSigned.grouped),
        ("keys used by two at a time", keyOverlaps.grouped),
        ("keys taken out of order", lruInversions.grouped),
        ("audit violations", auditViolations.grouped),
        ("time", "\(seconds.text(digits: 2)) s"),
        ("rate", "\(Int64(recordsPerSecond).grouped) records/s"),
      ] + (memory ?? []).map { ($0.service, $0.text) }
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { $0.0.padded(to: width) + "  " + $0.1 + "\n" }.joined()
  }

  /// Throws when anything is not as promised.
  func check() throws {
    if auditViolations > 0 || !faults.isEmpty || verified != records {
      throw CommandFailure(
        code: "verification_failed",
        message: "\(verified) of \(records) signatures verify, and the audit found \(auditViolations) violations",
        exitCode: .verification)
    }
    if failed > 0 {
      throw CommandFailure(
        code: "records_failed", message: "\(failed) records could not be signed", exitCode: .someFailed)
    }
  }
}
