public import Domain
internal import FoundationEssentials
public import Signing

/// Writes a manifest line by line: first the header, last the seal. Its memory does not grow with the number of lines.
///
/// Every method returns whole lines of the file, in UTF-8 with their line ends.
public struct ManifestWriter: ~Copyable {
  private let job: Job
  private let encoder: JSONEncoder
  private var hasher: MerkleHasher
  private var tree: MerkleTree
  private var lines: RunningDigest
  private var knownKeys: Set<KeyID> = []

  /// A manifest of a job that has ended.
  public init(_ job: Job) throws(SigningError) {
    let hasher = try MerkleHasher()
    let tree = try MerkleTree()
    let lines = try RunningDigest()
    self.job = job
    encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    self.hasher = hasher
    self.tree = tree
    self.lines = lines
  }

  /// How many records it has so far.
  public var records: Int { tree.count }

  /// The first line.
  public mutating func header() throws(SigningError) -> [UInt8] {
    try line(
      .header(
        ManifestHeader(
          version: ManifestHeader.version, jobID: "\(job.id)", source: job.sourceName, algorithm: job.algorithm.name,
          form: job.form.rawValue, state: job.state.rawValue, planned: job.counts.planned, signed: job.counts.signed,
          alreadySigned: job.counts.alreadySigned, failed: job.counts.failed, createdAt: job.createdAt.rawValue,
          endedAt: job.endedAt?.rawValue ?? 0)))
  }

  /// Whether the key's line is there; an entry that names the key must come after it.
  public func knows(_ key: KeyID) -> Bool { knownKeys.contains(key) }

  /// A public key, SubjectPublicKeyInfo in DER.
  public mutating func key(_ id: KeyID, _ publicKey: [UInt8]) throws(SigningError) -> [UInt8] {
    knownKeys.insert(id)
    let fingerprint = try hasher.digest(publicKey)
    return try line(
      .key(ManifestKey(keyID: id.rawValue, publicKey: Data(publicKey), fingerprint: "\(fingerprint)")))
  }

  /// A signed record. Records come in the order of their ids.
  public mutating func entry(
    _ record: RecordID, externalID: String?, payloadDigest: SHA256Digest, keyID: KeyID, epoch: Epoch,
    signature: [UInt8]
  ) throws(SigningError) -> [UInt8] {
    let entry = try ManifestEntry(
      recordID: record, externalID: externalID, payloadDigest: payloadDigest, keyID: keyID, epoch: epoch,
      signature: signature, algorithm: job.algorithm, form: job.form, hasher: &hasher)
    guard let leaf = SHA256Digest(hexText: entry.leaf) else { preconditionFailure("a leaf is written as it is read") }
    try tree.append(leaf)
    return try line(.entry(entry))
  }

  /// A record that could not be signed.
  public mutating func failure(_ failure: RecordFailure) throws(SigningError) -> [UInt8] {
    try line(
      .failure(
        ManifestFailure(
          recordID: failure.recordID.rawValue, code: failure.code.rawValue, message: failure.message)))
  }

  /// The last line.
  public mutating func seal(by signer: ManifestSigner, at time: Timestamp) throws(SigningError) -> [UInt8] {
    let statement = ManifestStatement(
      job: job.id, source: job.sourceName, algorithm: job.algorithm, form: job.form, records: tree.count,
      root: try tree.root(), lines: try lines.finish(), signedAt: time)
    return encoded(.seal(try signer.seal(statement)))
  }

  private mutating func line(_ line: ManifestLine) throws(SigningError) -> [UInt8] {
    let bytes = encoded(line)
    try lines.update(bytes)
    return bytes
  }

  private func encoded(_ line: ManifestLine) -> [UInt8] {
    do {
      return [UInt8](try encoder.encode(line)) + [UInt8(ascii: "\n")]
    } catch {
      preconditionFailure("every line can be encoded: \(error)")
    }
  }
}
