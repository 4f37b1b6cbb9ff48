import Domain
import FoundationEssentials
import Manifest
import Signing

extension VerifyCommand {
  func checkManifest(_ path: String) async throws {
    let verification = try ManifestVerification(trusted: try trusted(), keeping: show)
    let progress = ProgressLine("verifying", isQuiet: !output.output.isForPeople)
    let outcome = try await verification.check(path, payloads: try payloads.map { try PayloadSource(path: $0) }) {
      progress.update(UInt64($0), of: 0)
    }
    progress.finish()
    try report(
      ManifestReport(
        outcome.statement, sealedBy: outcome.sealedBy, isTrusted: manifestKey != nil, entries: outcome.entries,
        byDigest: outcome.byDigest, byPayload: outcome.byPayload, unchecked: outcome.unchecked,
        faulty: outcome.faultCount, faults: outcome.faults), "the manifest \(path)")
  }

  func checkProof(_ path: String) throws {
    let proof = try ManifestProof.read(path)
    var found: (verdict: CheckedLine.Verdict, statement: ManifestStatement, key: PublicKey)?
    let payload = try payloads.map { try KeyFileReader.bytes($0) }
    let reasons = try proof.faults(trusting: try trusted(), payload: payload) { found = ($0, $1, $2) }
    var report = ManifestReport(
      found?.statement, sealedBy: found?.key, isTrusted: manifestKey != nil, entries: 1, byDigest: 0, byPayload: 0,
      unchecked: 0, faulty: reasons.count,
      faults: reasons.prefix(show).map { ManifestCheck.Fault(line: 1, recordID: proof.entry.recordID, reason: $0) })
    switch found?.verdict {
    case .byDigest: report.byDigest = 1
    case .byPayload: report.byPayload = 1
    case .unchecked: report.notChecked = 1
    case .fault, nil: break
    }
    try self.report(report, "the proof \(path)")
  }

  private func trusted() throws -> PublicKey? {
    guard let manifestKey else { return nil }
    let bytes = try KeyFileReader.bytes(manifestKey)
    do {
      return try PublicKey(importing: bytes.span)
    } catch {
      throw CommandFailure(code: error.code.rawValue, message: "\(manifestKey): \(error.message)")
    }
  }

  private func report(_ report: ManifestReport, _ what: String) throws {
    output.print(
      report, name: report.resourceName,
      text: output.table.text(report) + report.faults.map { $0.text.printable + "\n" }.joined())
    guard report.faulty == 0 else {
      throw CommandFailure(
        code: "verification_failed", message: "\(what) is not as it was sealed: \(report.faulty) faults",
        exitCode: .verification)
    }
    if report.notChecked > 0 {
      StandardError.write(
        "note: \(report.notChecked) signatures were not checked, for they need the payload: give --payloads\n")
    }
    if !report.isTrusted {
      StandardError.write(
        "note: it is sealed with \(report.sealedBy ?? "?"), which stands in it: compare that, or give --manifest-key\n")
    }
  }
}

/// What a check of a manifest or a proof has found, as `verify` prints it.
private struct ManifestReport: TableRow {
  var jobID: String?
  var source: String?
  var root: String?
  var sealedBy: String?
  var sealedAt: String?
  /// Whether the key that sealed it was given.
  var isTrusted: Bool
  var records: Int
  var byDigest: Int
  var byPayload: Int
  var notChecked: Int
  var faulty: Int
  var faults: [ManifestCheck.Fault]

  enum CodingKeys: String, CodingKey {
    case jobID = "job_id"
    case source, root
    case sealedBy = "sealed_by"
    case sealedAt = "sealed_at"
    case isTrusted = "key_given"
    case records
    case byDigest = "verified_by_digest"
    case byPayload = "verified_by_payload"
    case notChecked = "not_checked"
    case faulty, faults
  }

  init(
    _ statement: ManifestStatement?, sealedBy: PublicKey?, isTrusted: Bool, entries: Int, byDigest: Int, byPayload: Int,
    unchecked: Int, faulty: Int, faults: [ManifestCheck.Fault]
  ) {
    jobID = statement.map { "\($0.job)" }
    source = statement?.source
    root = statement.map { "\($0.root)" }
    self.sealedBy = sealedBy.flatMap { try? $0.fingerprint.description }
    sealedAt = statement.flatMap { Date(microseconds: $0.signedAt.rawValue)?.text }
    self.isTrusted = isTrusted
    records = entries
    self.byDigest = byDigest
    self.byPayload = byPayload
    notChecked = unchecked
    self.faulty = faulty
    self.faults = faults
  }

  static let columns = [
    TableColumn("JOB"), TableColumn("SOURCE"), TableColumn("ROOT"), TableColumn("SEALED BY"), TableColumn("SEALED"),
    TableColumn("RECORDS"), TableColumn("VERIFIED BY DIGEST"), TableColumn("VERIFIED BY PAYLOAD"),
    TableColumn("NOT CHECKED"), TableColumn("FAULTS"),
  ]

  var resourceName: String { "verification/\(faulty == 0 ? "passed" : "failed")" }

  var cells: [String] {
    [
      jobID ?? "", source ?? "", root ?? "",
      (sealedBy ?? "") + (isTrusted ? "" : " (not compared)"), sealedAt ?? "", records.grouped64, byDigest.grouped64,
      byPayload.grouped64, notChecked.grouped64, faulty.grouped64,
    ]
  }
}
