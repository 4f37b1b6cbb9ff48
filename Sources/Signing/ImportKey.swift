public import Domain

/// The keeper's side of importing keys: an X25519 pair that every replica derives from the same ``KeyEncryptionKey``,
/// so that a client may seal a private key once and any replica can open it.
///
/// The private half is `BLAKE2b` of the empty message, keyed with the 32 bytes of the key-encryption key, 32 bytes of
/// output, personalization `chancery-import1`.
public struct ImportKey: ~Copyable, Sendable {
  private let pair: X25519Pair

  static let personalization = Array("chancery-import1".utf8)

  init(root: borrowing SecretBytes) throws(SigningError) {
    let scalar = try root.withBytes { (root) throws(SigningError) in
      try Blake2b.derive(SealingPublicKey.byteCount, from: Span(), key: root, personalization: Self.personalization)
    }
    pair = try X25519Pair(privateKey: scalar)
  }

  /// What clients seal to.
  public var publicKey: SealingPublicKey { pair.publicKey }

  /// Opens a private key that a client sealed, and checks it as ``PrivateKey/init(importing:passphrase:)`` does: what a
  /// client sends is not trusted. Blocks its thread for up to 0.3 s for RSA 4096.
  /// - Throws: `malformed_ciphertext`, `authentication_failed`, a code of ``PrivateKey/init(importing:passphrase:)``,
  ///   or `unsupported_key_type` if it is not a key of the algorithm that the purpose names.
  public borrowing func open(
    _ sealed: Span<UInt8>, algorithm: SignatureAlgorithm
  ) throws(SigningError) -> PrivateKey {
    let bytes = try KeySeal.open(sealed, with: pair, for: .keyImport(algorithm))
    let key = try bytes.withBytes { (bytes) throws(SigningError) in try PrivateKey(importing: bytes) }
    guard algorithm == key.algorithm else {
      throw SigningError(
        .unsupportedKeyType,
        "the import is for \(algorithm), but the sealed key is \(key.algorithm); name its algorithm")
    }
    return key
  }
}
