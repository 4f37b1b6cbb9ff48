internal import Domain

/// Where the numbers of a public key lie within its SubjectPublicKeyInfo.
enum PublicKeyLayout: Hashable {
  /// The point in any encoding.
  case p256(point: Range<Int>)
  /// The 32 bytes of the public key.
  case ed25519(Range<Int>)
  /// The integers n and e without leading zeroes, and the algorithm that the size of n makes it.
  case rsa([Range<Int>], SignatureAlgorithm)

  var algorithm: SignatureAlgorithm {
    switch self {
    case .p256: .ecdsaP256
    case .ed25519: .ed25519
    case .rsa(_, let algorithm): algorithm
    }
  }

  /// SubjectPublicKeyInfo (RFC 5280, 4.1; RFC 5480 for EC, RFC 8410 for Ed25519, RFC 8017 for RSA).
  init(subjectPublicKeyInfo bytes: Span<UInt8>) throws(SigningError) {
    var outer = DERCursor(0..<bytes.count)
    var info = DERCursor(try outer.read(.sequence, in: bytes))
    try outer.finish()
    var algorithm = DERCursor(try info.read(.sequence, in: bytes))
    let identifier = try algorithm.readObjectIdentifier(in: bytes)
    let key = try info.readBitString(in: bytes)
    try info.finish()

    switch identifier {
    case KnownObject.ecPublicKey:
      try PrivateKeyLayout.requireP256(&algorithm, in: bytes)
      self = .p256(point: key)
    case KnownObject.ed25519:
      try algorithm.finish()
      guard key.count == 32 else {
        throw DERCursor.malformed("an Ed25519 public key is not 32 bytes", at: key.lowerBound)
      }
      self = .ed25519(key)
    case KnownObject.rsaEncryption:
      _ = try algorithm.read(.null, in: bytes)
      try algorithm.finish()
      self = try Self.rsaPublicKey(key, in: bytes)
    default:
      throw SigningError(
        .unsupportedKeyType,
        "the file holds \(KnownObject.name(of: identifier)); use a P-256, Ed25519 or plain RSA key")
    }
  }

  private static func rsaPublicKey(_ range: Range<Int>, in bytes: Span<UInt8>) throws(SigningError) -> PublicKeyLayout {
    var outer = DERCursor(range)
    var key = DERCursor(try outer.read(.sequence, in: bytes))
    try outer.finish()
    let modulus = try key.readUnsigned(in: bytes)
    let exponent = try key.readUnsigned(in: bytes)
    try key.finish()
    return .rsa([modulus, exponent], try RSAModulus.algorithm(of: modulus, exponent: exponent, in: bytes))
  }
}
