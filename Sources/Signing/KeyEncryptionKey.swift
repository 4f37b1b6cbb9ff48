internal import CSodium
public import Domain

/// The secret under which the key ring's private keys are stored: 32 random bytes in a file that only the key keeper
/// reads. From it come, each by keyed BLAKE2b under its own personalization, the key that wraps private keys, the id
/// that says which key-encryption key wrapped one, and the pair for importing.
///
/// One value serves the whole process; it may be used from several threads at once.
public final class KeyEncryptionKey: Sendable {
  /// Says which key-encryption key this is and reveals nothing about it.
  public let id: KeyEncryptionKeyID

  /// Opens what clients seal for the ring.
  public let importKey: ImportKey

  private let wrappingKey: SecretBytes

  /// Length of the secret in bytes.
  public static let byteCount = 32

  private static let wrappingPersonalization = Array("chancery-kekwrap".utf8)
  private static let idPersonalization = Array("chancery-kek-id1".utf8)

  /// Takes the 32 secret bytes; see ``load(from:readers:)`` for the usual way.
  /// - Throws: `malformed_key_encryption_key` if there are not 32 bytes or all are the same, which no random key is.
  public init(root: consuming SecretBytes) throws(SigningError) {
    guard root.count == Self.byteCount else {
      throw SigningError(
        .malformedKeyEncryptionKey, "a key-encryption key has \(Self.byteCount) bytes, not \(root.count)")
    }
    let isConstant = root.withBytes { bytes in bytes.indices.allSatisfy { bytes[$0] == bytes[0] } }
    guard !isConstant else {
      throw SigningError(
        .malformedKeyEncryptionKey, "the key-encryption key is one byte repeated; generate a random one")
    }
    id = KeyEncryptionKeyID(digest: try Self.derive(16, from: root, Self.idPersonalization))
    wrappingKey = try Self.derive(Self.byteCount, from: root, Self.wrappingPersonalization)
    importKey = try ImportKey(root: root)
  }

  /// Encrypts PKCS#8 for storage with AES-256-GCM (NIST SP 800-38D) under a random nonce. One key-encryption key may
  /// wrap 2^32 keys before nonces may repeat.
  /// - Parameters:
  ///   - pkcs8: At most ``PrivateKey/maximumEncodedBytes``.
  ///   - keyID: Authenticated: the result opens only for this key.
  ///   - algorithm: Authenticated too.
  /// - Throws: `key_too_large`, `library_failure`, `resource_exhausted`.
  public func wrap(
    _ pkcs8: borrowing SecretBytes, keyID: KeyID, algorithm: SignatureAlgorithm
  ) throws(SigningError) -> WrappedKey {
    guard pkcs8.count <= PrivateKey.maximumEncodedBytes else {
      throw SigningError(.keyTooLarge, "\(pkcs8.count) bytes are no key, and only keys are wrapped")
    }
    var nonce = [UInt8](repeating: 0, count: WrappedKey.nonceBytes)
    Sodium.prepare()
    randombytes_buf(&nonce, nonce.count)
    let header = WrappedKey.header(id)
    let sealed = try AES256GCM.encrypt(
      pkcs8, key: wrappingKey, nonce: nonce, associatedData: header + Self.binding(keyID, algorithm))
    return WrappedKey(kekID: id, bytes: header + nonce + sealed)
  }

  /// Decrypts what ``wrap(_:keyID:algorithm:)`` made.
  /// - Throws: `wrong_key_encryption_key` if another one wrapped it, `authentication_failed` if it was altered or
  ///   belongs to another key or algorithm.
  public func unwrap(
    _ wrapped: WrappedKey, keyID: KeyID, algorithm: SignatureAlgorithm
  ) throws(SigningError) -> SecretBytes {
    guard wrapped.kekID == id else {
      throw SigningError(
        .wrongKeyEncryptionKey,
        "key \(keyID) was wrapped by key-encryption key \(wrapped.kekID), but this is \(id); load the right one")
    }
    let opened = try AES256GCM.decrypt(
      wrapped.sealed, key: wrappingKey, nonce: wrapped.nonce,
      associatedData: WrappedKey.header(id) + Self.binding(keyID, algorithm))
    guard let opened else {
      throw SigningError(
        .authenticationFailed,
        "the stored private key of \(keyID) (\(algorithm)) was altered or is another key's; restore it from a backup"
      )
    }
    return opened
  }

  /// Algorithm code (1 byte) and key id (8 bytes, big-endian).
  private static func binding(_ keyID: KeyID, _ algorithm: SignatureAlgorithm) -> [UInt8] {
    [algorithm.storageCode] + keyID.bytes
  }

  private static func derive(
    _ count: Int, from root: borrowing SecretBytes, _ personalization: [UInt8]
  ) throws(SigningError) -> SecretBytes {
    try root.withBytes { (root) throws(SigningError) in
      try Blake2b.derive(count, from: Span(), key: root, personalization: personalization)
    }
  }
}

extension KeyEncryptionKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The ``id`` only.
  public var description: String { "key-encryption key \(id)" }

  /// The ``id`` only.
  public var debugDescription: String { description }

  /// Shows the ``id`` only, to `dump` and debuggers too.
  public var customMirror: Mirror { Mirror(self, children: ["id": id.description]) }
}
