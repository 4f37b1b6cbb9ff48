/// A private key as it is stored: encrypted under a ``KeyEncryptionKey``.
///
/// Version 1: `01`, the id of the key-encryption key (8 bytes), nonce (12 bytes), ciphertext, tag (16 bytes).
/// AES-256-GCM with the associated data `01 ‖ id ‖ algorithm's storage code (1 byte) ‖ key id (8 bytes, big-endian)`. Its key is
/// BLAKE2b of the empty message, keyed with the 32 bytes of the key-encryption key, 32 bytes of output, personalization
/// `chancery-kekwrap`; the id is the first 8 of 16 bytes of the same with personalization `chancery-kek-id1`.
public struct WrappedKey: Hashable, Sendable {
  /// Which key-encryption key can unwrap it.
  public let kekID: KeyEncryptionKeyID

  /// The encoding that is stored.
  public let bytes: [UInt8]

  static let version: UInt8 = 1
  static let nonceBytes = 12
  static let tagBytes = 16
  private static let headerBytes = 1 + KeyEncryptionKeyID.byteCount

  /// What wrapping adds to a key, in bytes.
  public static let overheadBytes = headerBytes + nonceBytes + tagBytes

  /// Reads what was stored. Whether it is genuine shows only when it is unwrapped.
  /// - Throws: `malformed_ciphertext` if it is cut short, too long or of an unknown version.
  public init(bytes: [UInt8]) throws(SigningError) {
    guard (Self.overheadBytes...Self.overheadBytes + PrivateKey.maximumEncodedBytes).contains(bytes.count) else {
      throw SigningError(
        .malformedCiphertext,
        "a wrapped key of \(bytes.count) bytes is cut short or too long; restore it from a backup")
    }
    guard bytes[0] == Self.version else {
      throw SigningError(
        .malformedCiphertext,
        "the wrapped key is of version \(bytes[0]), and only \(Self.version) is known; update this program")
    }
    let id = bytes[1..<Self.headerBytes].reduce(0) { $0 << 8 | UInt64($1) }
    self.init(kekID: KeyEncryptionKeyID(rawValue: id), bytes: bytes)
  }

  init(kekID: KeyEncryptionKeyID, bytes: [UInt8]) {
    self.kekID = kekID
    self.bytes = bytes
  }

  static func header(_ id: KeyEncryptionKeyID) -> [UInt8] { [version] + id.bytes }

  var nonce: [UInt8] { Array(bytes[Self.headerBytes..<Self.headerBytes + Self.nonceBytes]) }

  /// Ciphertext and tag.
  var sealed: [UInt8] { Array(bytes[(Self.headerBytes + Self.nonceBytes)...]) }
}
