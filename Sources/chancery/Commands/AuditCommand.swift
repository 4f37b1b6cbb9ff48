import ArgumentParser
import Domain
import PostgresStorage
import RPC
import Schema
import Signing
import Storage
import Translation

struct AuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Check what is stored against what was promised.",
    discussion: """
      Reads the database itself: every signature once, every key under one lease at a time, keys in the order of use, counts \
      that agree. With --signatures, every signature is verified too. Exit code 3 on a violation. \
      Example: chancery audit --signatures -o json
      """)

  @Option(help: "The database (CHANCERY_DATABASE_URL).") var databaseURL: String?
  @Flag(help: "Verify every stored signature over its payload, too.") var signatures = false
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let url = try Settings.required(databaseURL, option: "database-url", variable: "CHANCERY_DATABASE_URL")
    var report = try await Audit.run(url)
    if signatures {
      report.findings.removeAll { $0.invariant == .signaturesVerify }
      report.findings.append(try await Audit.verifySignatures(url))
      report.findings.sort { $0.invariant.rawValue < $1.invariant.rawValue }
    }
    output.print(report.findings.map(FindingRow.init))
    guard report.violations == 0 else {
      throw CommandFailure(
        code: "audit_failed", message: "the audit found \(report.violations) violations", exitCode: .verification)
    }
  }
}

/// Auditing a database.
enum Audit {
  static func run(_ url: String) async throws -> AuditReport {
    try await Databases.with(url) { database in try await database.audit() }
  }

  /// Verifies every stored signature, of all sources.
  static func verifySignatures(_ url: String) async throws -> AuditReport.Finding {
    try await Databases.with(url) { database in
      var finding = AuditReport.Finding(invariant: .signaturesVerify, checked: 0, violations: 0)
      let progress = ProgressLine("verifying")
      defer { progress.finish() }
      var keys: [Int64: PublicKey] = [:]
      var lastKey: KeyID?
      while true {
        let page = try await database.keys(algorithm: nil, after: lastKey, limit: 1000)
        guard let last = page.last else { break }
        for key in page { keys[key.id.rawValue] = try PublicKey(spki: key.publicKey) }
        lastKey = last.id
      }
      let verification = try Verification(keys: keys)
      for source in try await database.sources() {
        let query = SignatureQuery(source: source, job: nil, includesPayload: true)
        var after: RecordID?
        while true {
          let page = try await database.signatures(query, after: after, maximumBytes: StreamLimits.chunkBytes)
          guard let last = page.last else { break }
          after = last.recordID
          // A payload that is gone cannot be checked against, which is no violation: it was signed when it was there.
          let present = page.filter { $0.payload != nil }
          let outcome = try await verification.check(present.map(\.message))
          finding.checked += Int64(outcome.checked)
          finding.violations += Int64(outcome.faults.count)
          finding.undecidable += Int64(page.count - present.count)
          finding.examples += outcome.faults.prefix(10 - min(10, finding.examples.count)).map {
            "record \($0.recordID): \($0.reason)"
          }
          progress.update(UInt64(finding.checked), of: 0)
        }
      }
      return finding
    }
  }
}

/// A finding as `audit` prints it.
private struct FindingRow: TableRow {
  var invariant: Int
  var promise: String
  var checked: Int64
  var violations: Int64
  var undecidable: Int64
  var examples: [String]

  init(_ finding: AuditReport.Finding) {
    invariant = finding.invariant.rawValue
    promise = "\(finding.invariant)"
    checked = finding.checked
    violations = finding.violations
    undecidable = finding.undecidable
    examples = finding.examples
  }

  static let columns = [
    TableColumn("#", isNumber: true), TableColumn("PROMISE"), TableColumn("CHECKED", isNumber: true),
    TableColumn("VIOLATIONS", isNumber: true), TableColumn("UNDECIDABLE", isNumber: true), TableColumn("EXAMPLES"),
  ]

  var cells: [String] {
    [
      String(invariant), promise, checked.grouped, violations.grouped, undecidable.grouped,
      examples.prefix(2).joined(separator: "; "),
    ]
  }
}
