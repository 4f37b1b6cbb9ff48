import ArgumentParser
import Domain
import Foundation
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
      that agree. With --signatures, every signature is verified too, with --sample some, chosen at random. With --follow it \
      looks again and again, also whether what was signed is still signed, and ends when something is wrong. Exit code 3 on a \
      violation.

      Example: chancery audit --sample 10000 -o json
      """, subcommands: [VerifyLog.self])

  @OptionGroup var database: DatabaseOptions
  @OptionGroup var context: ContextOptions
  @Flag(help: "Verify every stored signature over its payload, too.") var signatures = false
  @Option(help: "Verify about so many stored signatures, chosen at random.") var sample: Int?
  @Flag(help: "Look again and again; as JSON, a line for each look.") var follow = false
  @Option(help: "Seconds between two looks, from 1.") var interval = 10.0
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let sample, sample < 1 { throw ValidationError("--sample \(sample) is not positive") }
    if sample != nil, signatures { throw ValidationError("--sample and --signatures exclude each other") }
    if follow, !output.output.isForPeople, ![.json, .jsonl].contains(output.output) {
      throw ValidationError("with --follow, looks are printed as table, wide, json or jsonl, not as \(output.output)")
    }
    // A commit that is under way at one look must be over at the next.
    guard (1...86_400).contains(interval) else {
      throw ValidationError("--interval \(interval) is not between 1 and 86400 seconds")
    }
  }

  func run() async throws {
    let url = try database.url(try context.selected())
    guard follow else { return try finish(try await look(url)) }
    var continuity = Continuity()
    while true {
      do {
        var report = try await look(url)
        report.replace(try await continuity.look(url))
        StandardOutput.write(output.output.isForPeople ? AuditLook(report).text : JSONText.line(AuditLook(report)))
        if report.violations > 0 { try finish(report) }
      } catch let failure as CommandFailure where failure.isRetryable {
        StandardError.write("no look was possible: \(failure)\n")
      }
      try await Task.sleep(for: .seconds(interval))
    }
  }

  private func look(_ url: String) async throws -> AuditReport {
    var report = try await Audit.run(url)
    if signatures {
      report.replace(try await Audit.verifySignatures(url))
    } else if let sample {
      let stored = report.findings.first { $0.invariant == .signedOnce }?.checked ?? 0
      report.replace(try await Audit.verifySignatures(url, share: Double(sample) / Double(max(1, stored))))
    }
    return report
  }

  private func finish(_ report: AuditReport) throws {
    if !follow || output.output.isForPeople { output.print(report.findings.map(FindingRow.init)) }
    guard report.violations == 0 else {
      throw CommandFailure(
        code: "audit_failed", message: "the audit found \(report.violations) violations", exitCode: .verification)
    }
  }
}

/// One look of many.
private struct AuditLook: Encodable {
  var at = Date.now.text
  var violations: Int64
  var findings: [FindingRow]

  init(_ report: AuditReport) {
    violations = report.violations
    findings = report.findings.map(FindingRow.init)
  }

  var text: String {
    let checked = findings.map { "\($0.invariant): \($0.checked.grouped)" }.joined(separator: "  ")
    return "\(at)  \(violations == 0 ? "all promises hold" : "\(violations) VIOLATIONS")  checked \(checked)\n"
  }
}

/// Whether what was signed is still signed, from look to look.
private struct Continuity {
  /// What was signed up to a place in the log, at the last look.
  private var known: (place: Int64, digest: SignedDigest)?
  /// The end of the log at the last look: by the next one, all that was under way then is over.
  private var mark: Int64 = 0

  mutating func look(_ url: String) async throws -> AuditReport.Finding {
    let (place, next) = (known?.place ?? 0, mark)
    let now = try await Databases.with(url) { try await $0.signedDigests(upTo: place, next) }
    var finding = AuditReport.Finding(invariant: .signedStays, checked: now.first.count, violations: 0)
    if let known, known.digest != now.first {
      // How many are gone is known, how many are changed is not.
      finding.violations = max(1, known.digest.count - now.first.count)
      finding.examples = [
        "of the \(known.digest.count) signatures that were stored at the last look, \(now.first.count) are, or some are changed"
      ]
    }
    known = (next, now.second)
    mark = now.end
    return finding
  }
}

extension AuditReport {
  /// Puts a finding in the place of the one about the same promise.
  fileprivate mutating func replace(_ finding: Finding) {
    findings.removeAll { $0.invariant == finding.invariant }
    findings.append(finding)
    findings.sort { $0.invariant.rawValue < $1.invariant.rawValue }
  }
}

/// Auditing a database.
enum Audit {
  static func run(_ url: String) async throws -> AuditReport {
    try await Databases.with(url) { database in try await database.audit() }
  }

  /// Verifies stored signatures, of all sources: all, or a share of them that is chosen at random.
  static func verifySignatures(
    _ url: String, share: Double = 1, isQuiet: Bool = false
  ) async throws -> AuditReport.Finding {
    try await Databases.with(url) { database in
      var finding = AuditReport.Finding(invariant: .signaturesVerify, checked: 0, violations: 0)
      let progress = ProgressLine("verifying", isQuiet: isQuiet)
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
          let chosen = share >= 1 ? page : page.filter { _ in Double.random(in: 0..<1) < share }
          let present = chosen.filter { $0.payload != nil }
          let outcome = try await verification.check(present.map(\.message))
          finding.checked += Int64(outcome.checked)
          finding.violations += Int64(outcome.faults.count)
          finding.undecidable += Int64(chosen.count - present.count)
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

  var resourceName: String { "promise/\(promise)" }

  var cells: [String] {
    [
      String(invariant), promise, checked.grouped, violations.grouped, undecidable.grouped,
      examples.prefix(2).joined(separator: "; "),
    ]
  }
}
