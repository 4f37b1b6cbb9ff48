internal import Domain

/// Which RSA public keys are accepted.
enum RSAModulus {
  /// The algorithm that a modulus of this size serves.
  /// - Throws: `unsupported_key_size` for another size, `inconsistent_key` f.
  static func algorithm(
    of modulus: Range<Int>, exponent: Range<Int>, in bytes: Span<UInt8>
  ) throws(SigningError) -> SignatureAlgorithm {
    let bits = bitCount(modulus, in: bytes)
    guard let algorithm = SignatureAlgorithm.allCases.first(where: { $0.rsaModulusBits == bits }) else {
      throw SigningError(
        .unsupportedKeySize, "an RSA key of \(bits) bits is not supported; use one of 2048, 3072 or 4096 bits")
    }
    guard bytes[modulus.upperBound - 1] & 1 == 1 else {
      throw SigningError(.inconsistentKey, "the modulus of the RSA key is even; export the key again")
    }
    // 64 bits is what OpenSSL verifies with for large moduli; 1 would make every signature the payload's own encoding.
    let isOdd = !exponent.isEmpty && bytes[exponent.upperBound - 1] & 1 == 1
    let isOne = exponent.count == 1 && bytes[exponent.lowerBound] == 1
    guard isOdd, !isOne, exponent.count <= 8 else {
      throw SigningError(
        .inconsistentKey, "the public exponent of the RSA key must be odd, at least 3 and at most 64 bits long")
    }
    return algorithm
  }

  private static func bitCount(_ digits: Range<Int>, in bytes: Span<UInt8>) -> Int {
    guard !digits.isEmpty else { return 0 }
    return digits.count * 8 - bytes[digits.lowerBound].leadingZeroBitCount
  }
}
