internal import Domain

/// Where the numbers of a private key lie within its DER.
enum PrivateKeyLayout {
  /// A big-endian scalar of at most 32 bytes, and the point if the structure has it, in any encoding.
  case p256(scalar: Range<Int>, point: Range<Int>?)
  /// The 32-byte seed (RFC 8032, 5.1.5) and the public key if the structure has it.
  case ed25519(seed: Range<Int>, publicKey: Range<Int>?)
  /// The integers n, e, d, p, q, dP, dQ, qInv without leading zeroes, and the algorithm that the size of n makes it.
  case rsa([Range<Int>], SignatureAlgorithm)

  var algorithm: SignatureAlgorithm {
    switch self {
    case .p256: .ecdsaP256
    case .ed25519: .ed25519
    case .rsa(_, let algorithm): algorithm
    }
  }

  /// PrivateKeyInfo (RFC 5208, 5) or OneAsymmetricKey (RFC 5958, 2).
  init(pkcs8 bytes: Span<UInt8>) throws(SigningError) {
    var outer = DERCursor(0..<bytes.count)
    var info = DERCursor(try outer.read(.sequence, in: bytes))
    guard let version = try info.readSmallInteger(in: bytes), version <= 1 else {
      throw DERCursor.malformed("the version of PKCS#8 is neither 0 nor 1", at: 0)
    }
    var algorithm = DERCursor(try info.read(.sequence, in: bytes))
    let identifier = try algorithm.readObjectIdentifier(in: bytes)
    let key = try info.read(.octetString, in: bytes)
    if info.peek(in: bytes) == .context0 { _ = try info.read(.context0, in: bytes) }  // attributes, of no use here
    let publicKey = info.isAtEnd ? nil : try info.readBitString(.implicit1, in: bytes)
    try info.finish()

    switch identifier {
    case KnownObject.ecPublicKey:
      try Self.requireP256(&algorithm, in: bytes)
      self = try Self.ecPrivateKey(key, in: bytes, curveIsKnown: true)
    case KnownObject.ed25519:
      try algorithm.finish()
      var inner = DERCursor(key)
      let seed = try inner.read(.octetString, in: bytes)
      try inner.finish()
      guard seed.count == 32 else { throw DERCursor.malformed("an Ed25519 seed is not 32 bytes", at: key.lowerBound) }
      self = .ed25519(seed: seed, publicKey: publicKey)
    case KnownObject.rsaEncryption:
      _ = try algorithm.read(.null, in: bytes)
      try algorithm.finish()
      self = try Self.rsaPrivateKey(key, in: bytes)
    default:
      throw SigningError(
        .unsupportedKeyType,
        "the file holds \(KnownObject.name(of: identifier)); use a P-256, Ed25519 or plain RSA key")
    }
  }

  /// ECPrivateKey (RFC 5915, 3), which outside PKCS#8 must name its curve.
  init(sec1 bytes: Span<UInt8>) throws(SigningError) {
    self = try Self.ecPrivateKey(0..<bytes.count, in: bytes, curveIsKnown: false)
  }

  /// RSAPrivateKey (RFC 8017, A.1.2).
  init(pkcs1 bytes: Span<UInt8>) throws(SigningError) {
    self = try Self.rsaPrivateKey(0..<bytes.count, in: bytes)
  }

  private static func ecPrivateKey(
    _ range: Range<Int>, in bytes: Span<UInt8>, curveIsKnown: Bool
  ) throws(SigningError) -> PrivateKeyLayout {
    var outer = DERCursor(range)
    var key = DERCursor(try outer.read(.sequence, in: bytes))
    try outer.finish()
    guard try key.readSmallInteger(in: bytes) == 1 else {
      throw DERCursor.malformed("the version of an EC key is not 1", at: range.lowerBound)
    }
    let scalar = try key.read(.octetString, in: bytes)
    if key.peek(in: bytes) == .context0 {
      var parameters = DERCursor(try key.read(.context0, in: bytes))
      try requireP256(&parameters, in: bytes)
    } else if !curveIsKnown {
      throw SigningError(.wrongCurve, "the EC key does not name its curve; convert it with: openssl pkey -in FILE")
    }
    var point: Range<Int>?
    if key.peek(in: bytes) == .context1 {
      var wrapped = DERCursor(try key.read(.context1, in: bytes))
      point = try wrapped.readBitString(in: bytes)
      try wrapped.finish()
    }
    try key.finish()
    guard (1...32).contains(scalar.count) else {
      throw DERCursor.malformed("a P-256 scalar is not 32 bytes", at: scalar.lowerBound)
    }
    return .p256(scalar: scalar, point: point)
  }

  private static func rsaPrivateKey(
    _ range: Range<Int>, in bytes: Span<UInt8>
  ) throws(SigningError) -> PrivateKeyLayout {
    var outer = DERCursor(range)
    var key = DERCursor(try outer.read(.sequence, in: bytes))
    try outer.finish()
    let version = try key.readSmallInteger(in: bytes)
    guard version == 0 else {
      throw version == 1
        ? SigningError(.unsupportedKeyType, "the RSA key has more than two primes; make one with two")
        : DERCursor.malformed("the version of an RSA key is not 0", at: range.lowerBound)
    }
    var integers: [Range<Int>] = []
    for _ in 0..<8 { integers.append(try key.readUnsigned(in: bytes)) }
    try key.finish()
    let algorithm = try RSAModulus.algorithm(of: integers[0], exponent: integers[1], in: bytes)
    // No other integer of a valid key is longer than the modulus; this bounds what the library is given.
    guard integers.allSatisfy({ !$0.isEmpty && $0.count <= integers[0].count }) else {
      throw SigningError(.inconsistentKey, "the parts of the RSA key do not belong together; export it again")
    }
    return .rsa(integers, algorithm)
  }

  /// ECParameters (RFC 5480, 2.1.1), of which only a named curve is allowed.
  static func requireP256(_ parameters: inout DERCursor, in bytes: Span<UInt8>) throws(SigningError) {
    if parameters.peek(in: bytes) == .sequence {
      throw SigningError(
        .wrongCurve,
        "the EC key spells out its curve; name it with: openssl pkey -in FILE -ec_param_enc named_curve")
    }
    let curve = try parameters.readObjectIdentifier(in: bytes)
    try parameters.finish()
    guard curve == KnownObject.p256 else {
      throw SigningError(
        .wrongCurve, "the EC key is on curve \(KnownObject.name(of: curve)); only P-256 (prime256v1) is supported")
    }
  }
}
