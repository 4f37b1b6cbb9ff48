/// The fixed parts of the canonical encodings of keys whose size never varies, byte for byte as OpenSSL writes them.
enum KeyTemplate {
  /// PrivateKeyInfo up to the scalar of a P-256 key.
  static let p256PrivatePrefix: [UInt8] =
    [0x30, 0x81, 0x87, 0x02, 0x01, 0x00] + p256Algorithm
    + [0x04, 0x6D, 0x30, 0x6B, 0x02, 0x01, 0x01, 0x04, 0x20]

  /// Between the scalar and the uncompressed point.
  static let p256PrivateMiddle: [UInt8] = [0xA1, 0x44, 0x03, 0x42, 0x00]

  /// SubjectPublicKeyInfo up to the uncompressed point.
  static let p256PublicPrefix: [UInt8] = [0x30, 0x59] + p256Algorithm + [0x03, 0x42, 0x00]

  /// PrivateKeyInfo up to the seed of an Ed25519 key.
  static let ed25519PrivatePrefix: [UInt8] =
    [0x30, 0x2E, 0x02, 0x01, 0x00] + ed25519Algorithm + [0x04, 0x22, 0x04, 0x20]

  /// SubjectPublicKeyInfo up to the 32 bytes of an Ed25519 public key.
  static let ed25519PublicPrefix: [UInt8] = [0x30, 0x2A] + ed25519Algorithm + [0x03, 0x21, 0x00]

  /// AlgorithmIdentifier of RSA keys: rsaEncryption with NULL (RFC 8017, A.1).
  static let rsaAlgorithm: [UInt8] = [0x30, 0x0D, 0x06, 0x09] + KnownObject.rsaEncryption + [0x05, 0x00]

  private static let p256Algorithm: [UInt8] =
    [0x30, 0x13, 0x06, 0x07] + KnownObject.ecPublicKey + [0x06, 0x08] + KnownObject.p256

  private static let ed25519Algorithm: [UInt8] = [0x30, 0x05, 0x06, 0x03] + KnownObject.ed25519
}
