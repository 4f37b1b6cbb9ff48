/// An encrypted key says itself how much work turns the passphrase into a key, so a hostile one could demand hours.
/// This looks before the work starts.
enum PassphraseCost {
  /// Iterations of PBKDF2 or of the PKCS#12 derivation: some seconds of SHA-256. OpenSSL writes 2048 by default.
  static let maximumIterations = 10_000_000

  /// The product of scrypt's N, r and p: about a second. OpenSSL writes 16384 · 8 · 1 by default and itself refuses
  /// more than 32 MiB of memory.
  static let maximumScryptWork = 1 << 22

  /// Checks EncryptedPrivateKeyInfo (RFC 5208, 6) with PBES2 or one of its predecessors (RFC 8018), scrypt (RFC 7914)
  /// or a PKCS#12 algorithm (RFC 7292).
  /// - Throws: `malformed_der`, or `unsupported_encryption` for more work than the limits or an unknown derivation.
  static func check(encryptedPKCS8 bytes: Span<UInt8>) throws(SigningError) {
    var outer = DERCursor(0..<bytes.count)
    var info = DERCursor(try outer.read(.sequence, in: bytes))
    var algorithm = DERCursor(try info.read(.sequence, in: bytes))
    let scheme = try algorithm.readObjectIdentifier(in: bytes)
    var parameters = DERCursor(try algorithm.read(.sequence, in: bytes))
    guard scheme == KnownObject.pbes2 else {
      // The older schemes all have (salt, iterations).
      return try checkIterations(&parameters, in: bytes)
    }
    var derivation = DERCursor(try parameters.read(.sequence, in: bytes))
    let function = try derivation.readObjectIdentifier(in: bytes)
    var work = DERCursor(try derivation.read(.sequence, in: bytes))
    switch function {
    case KnownObject.pbkdf2: try checkIterations(&work, in: bytes)
    case KnownObject.scrypt: try checkScrypt(&work, in: bytes)
    default:
      throw SigningError(
        .unsupportedEncryption,
        "the key's passphrase derivation (\(KnownObject.name(of: function))) is not supported; convert it with: "
          + "openssl pkcs8 -topk8 -v2 aes-256-cbc")
    }
  }

  private static func checkIterations(_ parameters: inout DERCursor, in bytes: Span<UInt8>) throws(SigningError) {
    _ = try parameters.skip(in: bytes)  // the salt
    guard let iterations = try parameters.readSmallInteger(in: bytes), iterations <= maximumIterations else {
      throw tooMuch("more than \(maximumIterations) iterations")
    }
  }

  private static func checkScrypt(_ parameters: inout DERCursor, in bytes: Span<UInt8>) throws(SigningError) {
    _ = try parameters.skip(in: bytes)  // the salt
    var product = 1
    for _ in 0..<3 {
      guard let factor = try parameters.readSmallInteger(in: bytes), factor <= maximumScryptWork / max(product, 1)
      else {
        throw tooMuch("more than \(maximumScryptWork) units of scrypt work (N · r · p)")
      }
      product *= factor
    }
  }

  private static func tooMuch(_ what: String) -> SigningError {
    SigningError(
      .unsupportedEncryption,
      "the key's passphrase derivation demands \(what); encrypt it again with fewer: openssl pkcs8 -topk8 -iter 600000")
  }
}
