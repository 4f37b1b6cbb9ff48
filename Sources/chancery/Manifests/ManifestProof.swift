import Domain
import FoundationEssentials
import Manifest
import Signing

/// The proof that one record is among those that a coordinator has sealed: all that is needed, but the payload.
struct ManifestProof: Codable, Sendable {
  static let version = 1

  var version = Self.version
  var entry: ManifestEntry
  /// The place of the entry among all, from 0.
  var index: Int
  /// The hashes beside the way from the leaf up to the root, in hexadecimal.
  var path: [String]
  var key: ManifestKey
  var seal: ManifestSeal

  /// Reads a proof from a file.
  static func read(_ file: String) throws -> ManifestProof {
    let bytes = try KeyFileReader.bytes(file)
    do {
      return try JSONDecoder().decode(ManifestProof.self, from: Data(bytes))
    } catch {
      throw CommandFailure(
        code: "malformed_proof", message: "\(file) has no proof as JSON",
        hint: "write it with 'chancery jobs manifest JOB --prove RECORD'", exitCode: .verification)
    }
  }

  /// What is wrong with it; empty if nothing is. `verdict` is told how the signature was checked.
  func faults(
    trusting trusted: PublicKey?, payload: [UInt8]?,
    verdict report: (CheckedLine.Verdict, ManifestStatement, PublicKey) -> Void
  ) throws(SigningError) -> [String] {
    guard version == Self.version else { return ["version \(version) of proofs is not known: upgrade"] }
    guard let statement = ManifestStatement(text: seal.statement) else {
      return ["the statement is none of this version"]
    }
    var faults: [String] = []
    var sealedBy: PublicKey?
    if let fault = try seal.fault(trusting: trusted, { sealedBy = $0 }) { faults.append(fault) }
    let siblings = path.compactMap { SHA256Digest(hexText: $0) }
    let merkle = MerklePath(index: index, count: statement.records, siblings: siblings)
    if siblings.count != path.count {
      faults.append("the path has something that is no hash")
    } else if let leaf = SHA256Digest(hexText: entry.leaf), try merkle.root(from: leaf) == statement.root {
    } else {
      faults.append("the path does not lead from the entry to the root that is sealed")
    }
    guard let publicKey = try? PublicKey(der: [UInt8](key.publicKey).span), key.keyID == entry.keyID else {
      return faults + ["key \(entry.keyID) is not in the proof"]
    }
    let context = CheckedLine.Context(
      algorithm: statement.algorithm, form: statement.form, keys: [key.keyID: publicKey])
    var hasher = try MerkleHasher()
    var verifiers = VerifierCache()
    let verdict = try CheckedLine.verdict(entry, context, payload, &hasher, &verifiers)
    if case .fault(let reason) = verdict { faults.append(reason) }
    if let sealedBy { report(verdict, statement, sealedBy) }
    return faults
  }
}

/// Makes the proof of one record while the lines of a manifest go by, in bounded memory.
struct ManifestProver: ~Copyable {
  private let record: Int64
  private var header: ManifestHeader?
  private var keys: [Int64: ManifestKey] = [:]
  private var builder: MerklePathBuilder
  private var entry: ManifestEntry?
  private var seal: ManifestSeal?

  init(record: Int64) throws(SigningError) {
    builder = try MerklePathBuilder(count: 0)
    self.record = record
    header = nil
    entry = nil
    seal = nil
  }

  mutating func add(_ line: NumberedLine) throws {
    switch CheckedLine.decode(line) {
    case .header(let fields):
      header = fields
      builder = try MerklePathBuilder(count: Int(fields.signed))
    case .key(let key): keys[key.keyID] = key
    case .entry(let next):
      guard let leaf = SHA256Digest(hexText: next.leaf), header != nil else { throw Self.broken(line.number) }
      try builder.append(leaf, isWanted: next.recordID == record)
      if next.recordID == record { entry = next }
    case .failure: break
    case .seal(let last): seal = last
    case nil: throw Self.broken(line.number)
    }
  }

  /// The proof. Throws `not_found` if the record is not among the entries, `verification_failed` if what was read proves
  /// nothing.
  func proof() throws -> ManifestProof {
    guard let header, let seal else {
      throw CommandFailure(
        code: "verification_failed", message: "the manifest is cut short: it has no seal", exitCode: .verification)
    }
    guard let entry, let key = keys[entry.keyID] else {
      throw CommandFailure(
        code: "not_in_manifest", message: "record \(record) is not signed by job \(header.jobID)",
        hint: "see what became of it with 'chancery records get \(record) --status'")
    }
    guard let path = builder.path else {
      throw CommandFailure(
        code: "verification_failed", message: "the manifest has not the \(header.signed) entries that it says",
        exitCode: .verification)
    }
    let proof = ManifestProof(
      entry: entry, index: path.index, path: path.siblings.map { "\($0)" }, key: key, seal: seal)
    if let fault = try proof.faults(trusting: nil, payload: nil, verdict: { _, _, _ in }).first {
      throw CommandFailure(
        code: "verification_failed", message: "record \(record) cannot be proved: \(fault)",
        hint: "'chancery verify --manifest' says where the manifest is broken", exitCode: .verification)
    }
    return proof
  }

  private static func broken(_ line: Int) -> CommandFailure {
    CommandFailure(
      code: "malformed_manifest", message: "line \(line) is no line of a manifest", exitCode: .verification)
  }
}
