internal import COpenSSL
internal import Domain

extension PrivateKey {
  /// A scalar drawn uniformly from [1, order - 1] by testing candidates (FIPS 186-5, A.2.2). The order is so close to
  /// 2^256 that a second candidate is needed once in four billion times.
  static func generateP256() throws(SigningError) -> PrivateKey {
    while true {
      let scalar = try SecretBytes(randomCount: CHANCERY_P256_SCALAR_BYTES)
      let key = try scalar.withBytes { (scalar) throws(SigningError) -> PrivateKey? in
        guard let point = try PrivateKeyCheck.p256Point(of: scalar) else { return nil }
        let der = try PrivateKeyEncoding.p256(scalar: scalar, point: point.span)
        return try PrivateKey(trustedPKCS8: der)
      }
      if let key { return key }
    }
  }

  /// A seed of 32 random bytes (RFC 8032, 5.1.5).
  static func generateEd25519() throws(SigningError) -> PrivateKey {
    let seed = try SecretBytes(randomCount: 32)
    let der = try seed.withBytes { (seed) throws(SigningError) in try PrivateKeyEncoding.ed25519(seed: seed) }
    return try PrivateKey(trustedPKCS8: der)
  }

  /// OpenSSL finds the primes; the numbers are then copied out into our own encoding.
  static func generateRSA(_ algorithm: SignatureAlgorithm) throws(SigningError) -> PrivateKey {
    guard let bits = algorithm.rsaModulusBits else { preconditionFailure("\(algorithm) is not RSA") }
    guard let generated = chancery_rsa_generate(bits) else {
      throw OpenSSLErrors.libraryFailure("generate an RSA key")
    }
    let key = EVPKey(adopting: generated)
    let size = bits / 8
    let parts = try SecretBytes(capacity: size * CHANCERY_RSA_PARTS) { (output) throws(SigningError) in
      for index in 0..<CHANCERY_RSA_PARTS {
        try output.appendInPlace(size) { (target) throws(SigningError) in
          guard chancery_rsa_part(key.pointer, index, target.baseAddress, size) == 1 else {
            throw OpenSSLErrors.libraryFailure("read an RSA key")
          }
        }
      }
    }
    return try parts.withBytes { (parts) throws(SigningError) in
      let integers = (0..<CHANCERY_RSA_PARTS).map { $0 * size..<($0 + 1) * size }
      return try PrivateKey(trustedPKCS8: try PrivateKeyEncoding.rsa(integers, in: parts))
    }
  }
}
