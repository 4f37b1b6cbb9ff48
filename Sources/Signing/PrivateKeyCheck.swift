internal import COpenSSL

/// Whether the numbers of a private key are in range and belong together. A key that fails would sign, but nothing it
/// signed would verify.
enum PrivateKeyCheck {
  /// The size of an uncompressed P-256 point.
  static let pointBytes = CHANCERY_P256_POINT_BYTES

  /// Whether a point is encoded with both coordinates (SEC 1, 2.3.3).
  static func isUncompressed(_ point: Range<Int>, in bytes: Span<UInt8>) -> Bool {
    point.count == pointBytes && bytes[point.lowerBound] == 4
  }

  /// The uncompressed point of a scalar of at most 32 bytes, which must be the expected one if there is one.
  static func p256Point(
    scalar: Range<Int>, expecting expected: Range<Int>?, in bytes: Span<UInt8>
  ) throws(SigningError) -> [UInt8] {
    let padded = try SecretBytes(capacity: CHANCERY_P256_SCALAR_BYTES) { output in
      output.append(repeating: 0, count: CHANCERY_P256_SCALAR_BYTES - scalar.count)
      output.append(copying: bytes.extracting(scalar))
    }
    let point = try padded.withBytes { (scalar) throws(SigningError) in try p256Point(of: scalar) }
    guard let point else {
      throw SigningError(.inconsistentKey, "the private scalar is not within the order of P-256; export the key again")
    }
    if let expected, try uncompressed(bytes.extracting(expected)) != point {
      throw SigningError(.inconsistentKey, "the public point does not belong to the private key; export the key again")
    }
    return point
  }

  /// The uncompressed point of a scalar of exactly 32 bytes, or nil if it is not in [1, order - 1].
  static func p256Point(of scalar: Span<UInt8>) throws(SigningError) -> [UInt8]? {
    precondition(scalar.count == CHANCERY_P256_SCALAR_BYTES, "a scalar of 32 bytes")
    var point = [UInt8](repeating: 0, count: pointBytes)
    switch scalar.withUnsafeBufferPointer({ chancery_p256_point($0.baseAddress, &point) }) {
    case 1: return point
    case 0: return nil
    default: throw OpenSSLErrors.libraryFailure("compute a P-256 point")
    }
  }

  /// A point in any encoding of SEC 1 as 65 bytes.
  /// - Throws: `inconsistent_key` if it is no point of P-256.
  static func uncompressed(_ encoded: Span<UInt8>) throws(SigningError) -> [UInt8] {
    var point = [UInt8](repeating: 0, count: pointBytes)
    let isPoint = encoded.withUnsafeBufferPointer { chancery_p256_normalize($0.baseAddress, $0.count, &point) }
    guard isPoint == 1 else {
      throw SigningError(
        .inconsistentKey, "the public point does not lie on P-256; export the key again",
        reasons: OpenSSLErrors.drain().reasons)
    }
    return point
  }

  /// Whether a public key stored next to an Ed25519 seed is the one the seed yields.
  static func ed25519(seed: Range<Int>, expecting expected: Range<Int>, in bytes: Span<UInt8>) throws(SigningError) {
    guard try ed25519PublicKey(of: bytes.extracting(seed)) == bytes.extracting(expected).copiedBytes else {
      throw SigningError(.inconsistentKey, "the public key does not belong to the private one; export the key again")
    }
  }

  /// The public key that a 32-byte seed yields (RFC 8032, 5.1.5).
  static func ed25519PublicKey(of seed: Span<UInt8>) throws(SigningError) -> [UInt8] {
    let pair = try Ed25519Pair(seed: seed)
    return pair.publicKey
  }

  /// Whether an RSA key's primes are prime and its parts fit.
  static func rsa(_ integers: [Range<Int>], in bytes: Span<UInt8>) throws(SigningError) {
    let key = try EVPKey(rsa: integers, in: bytes)
    guard try key.isConsistent() else {
      throw SigningError(.inconsistentKey, "the parts of the RSA key do not belong together; export the key again")
    }
  }
}
