import Domain
import FoundationEssentials
import Manifest
import Signing

/// A line of a manifest, read, and if it is an entry checked by itself: all that can be done on any core, in any order.
struct CheckedLine: Sendable {
  /// What became of an entry.
  enum Verdict: Sendable {
    /// The signature is valid over the digest of the payload.
    case byDigest
    /// The signature is valid over the payload.
    case byPayload
    /// The signature cannot be checked without the payload, which is not there.
    case unchecked
    case fault(String)
  }

  /// What entries are checked against.
  struct Context: Sendable {
    var algorithm: SignatureAlgorithm
    var form: SignatureForm
    var keys: [Int64: PublicKey]
  }

  var line: NumberedLine
  /// Nil if it is none.
  var content: ManifestLine?
  var verdict = Verdict.unchecked

  /// Reads a line; nil if it is none of a manifest.
  static func decode(_ line: NumberedLine) -> ManifestLine? {
    try? JSONDecoder().decode(ManifestLine.self, from: Data(line.bytes))
  }

  /// Reads lines and checks entries, with the payloads that `payload` has for them.
  static func check(
    _ lines: [NumberedLine], _ context: Context?, payload: (Int64) throws -> [UInt8]?
  ) throws -> [CheckedLine] {
    var hasher = try MerkleHasher()
    var verifiers = VerifierCache()
    return try lines.map { line in
      var checked = CheckedLine(line: line, content: decode(line))
      guard case .entry(let entry) = checked.content else { return checked }
      guard let context else {
        checked.verdict = .fault("there is no header that says how it was signed")
        return checked
      }
      checked.verdict = try verdict(entry, context, try payload(entry.recordID), &hasher, &verifiers)
      return checked
    }
  }

  /// Checks one entry.
  static func verdict(
    _ entry: ManifestEntry, _ context: Context, _ payload: [UInt8]?, _ hasher: inout MerkleHasher,
    _ verifiers: inout VerifierCache
  ) throws(SigningError) -> Verdict {
    guard let digest = entry.payloadDigest, let leaf = try entry.expectedLeaf(context.algorithm, context.form, &hasher)
    else { return .fault("the digest of the payload is none") }
    guard "\(leaf)" == entry.leaf else { return .fault("the entry is not the one whose leaf stands beside it") }
    guard let key = context.keys[entry.keyID] else { return .fault("key \(entry.keyID) is not in the manifest") }
    guard key.algorithm == context.algorithm else {
      return .fault("signed as \(context.algorithm) with a key for \(key.algorithm)")
    }
    let signature = [UInt8](entry.signature)
    try verifiers.prepare(key, id: entry.keyID, context.form)
    if let payload {
      switch try verifiers.check(signature, payload, digest) {
      case .valid: return .byPayload
      case .payloadChanged: return .fault("the payload is not the one that was signed")
      case .invalidSignature: return .fault("the signature is not that of key \(entry.keyID)")
      }
    }
    guard let isValid = try verifiers.verify(signature, digest) else { return .unchecked }
    return isValid ? .byDigest : .fault("the signature is not that of key \(entry.keyID)")
  }
}

/// The verifier of the key that was used last: signatures of one key come in runs, for a key signs a whole batch.
struct VerifierCache: ~Copyable {
  private var keyID: Int64?
  private var verifier: SignatureVerifier?

  init() {
    keyID = nil
    verifier = nil
  }

  mutating func prepare(_ key: PublicKey, id: Int64, _ form: SignatureForm) throws(SigningError) {
    guard keyID != id else { return }
    verifier = try SignatureVerifier(key, prefix: form.prefix(key.algorithm, KeyID(rawValue: id)))
    keyID = id
  }

  mutating func check(
    _ signature: [UInt8], _ payload: [UInt8], _ digest: SHA256Digest
  ) throws(SigningError) -> SignatureVerifier.Verdict {
    try verifier!.check(signature: signature.span, payload: payload.span, signedDigest: digest)
  }

  func verify(_ signature: [UInt8], _ digest: SHA256Digest) throws(SigningError) -> Bool? {
    try verifier!.verify(signature: signature.span, payloadDigest: digest)
  }
}
