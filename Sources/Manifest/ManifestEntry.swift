public import Domain
public import FoundationEssentials
public import Signing

/// What a manifest says of one signed record: all that is needed to check the signature, but the payload.
public struct ManifestEntry: Codable, Sendable, Hashable {
  /// The record.
  public var recordID: Int64
  /// The client's own name for it; nil for none.
  public var externalID: String?
  /// SHA-256 of the payload, in hexadecimal.
  public var payloadSHA256: String
  /// The key that signed it.
  public var keyID: Int64
  /// The lease under which the key was used.
  public var keyEpoch: Int64
  /// As the algorithm defines it.
  public var signature: Data
  /// The hash of the leaf that the entry is in the tree, in hexadecimal: it tells which entry was changed.
  public var leaf: String

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case externalID = "external_id"
    case payloadSHA256 = "payload_sha256"
    case keyID = "key_id"
    case keyEpoch = "key_epoch"
    case signature, leaf
  }

  /// Makes the entry of a signature; its leaf follows from the rest.
  public init(
    recordID: RecordID, externalID: String?, payloadDigest: SHA256Digest, keyID: KeyID, epoch: Epoch,
    signature: [UInt8], algorithm: SignatureAlgorithm, form: SignatureForm, hasher: inout MerkleHasher
  ) throws(SigningError) {
    self.recordID = recordID.rawValue
    self.externalID = externalID
    payloadSHA256 = "\(payloadDigest)"
    self.keyID = keyID.rawValue
    keyEpoch = epoch.rawValue
    self.signature = Data(signature)
    leaf = ""
    leaf = try "\(leafHash(algorithm, form, &hasher, payloadDigest))"
  }

  /// The digest of the payload; nil if it is none.
  public var payloadDigest: SHA256Digest? { SHA256Digest(hexText: payloadSHA256) }

  /// The hash of the leaf that the entry ought to be; nil if the digest is none, or the external id is too long.
  public func expectedLeaf(
    _ algorithm: SignatureAlgorithm, _ form: SignatureForm, _ hasher: inout MerkleHasher
  ) throws(SigningError) -> SHA256Digest? {
    guard let payloadDigest, externalID?.utf8.count ?? 0 <= UInt16.max, signature.count <= UInt16.max else {
      return nil
    }
    return try leafHash(algorithm, form, &hasher, payloadDigest)
  }

  /// The bytes of a leaf; `docs/manifest.md` has them in a table. Numbers are big-endian.
  private func leafHash(
    _ algorithm: SignatureAlgorithm, _ form: SignatureForm, _ hasher: inout MerkleHasher, _ digest: SHA256Digest
  ) throws(SigningError) -> SHA256Digest {
    let name = Array((externalID ?? "").utf8)
    var bytes: [UInt8] = [1, algorithm.storageCode, form.storageCode]
    bytes.append(bigEndian: recordID)
    bytes.append(contentsOf: digest.bytes)
    bytes.append(bigEndian: keyID)
    bytes.append(bigEndian: keyEpoch)
    bytes.append(bigEndian: UInt16(name.count))
    bytes.append(contentsOf: name)
    bytes.append(bigEndian: UInt16(signature.count))
    bytes.append(contentsOf: signature)
    return try hasher.leaf(bytes)
  }
}

extension [UInt8] {
  fileprivate mutating func append(bigEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
  }
}

extension SHA256Digest {
  /// The digest that 64 hexadecimal digits in lower case write; nil for anything else.
  public init?(hexText: String) {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in hexText.utf8 {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil else { return nil }
    self.init(bytes)
  }
}
