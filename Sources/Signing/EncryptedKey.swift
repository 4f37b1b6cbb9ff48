internal import COpenSSL

/// Opens private keys that are encrypted with a passphrase.
enum EncryptedKey {
  /// Longer passphrases are refused.
  static let maximumPassphraseBytes = 1024

  /// EncryptedPrivateKeyInfo (RFC 5208, 6), as `openssl pkcs8 -topk8` writes it. Yields PrivateKeyInfo.
  static func open(pkcs8 bytes: Span<UInt8>, passphrase: Span<UInt8>?) throws(SigningError) -> SecretBytes {
    guard let passphrase else { throw passphraseRequired() }
    try checkLength(passphrase)
    try PassphraseCost.check(encryptedPKCS8: bytes)
    let structure = bytes.withUnsafeBufferPointer { bytes in
      var start = bytes.baseAddress
      return d2i_X509_SIG(nil, &start, bytes.count)
    }
    guard let structure else {
      let reasons = OpenSSLErrors.drain().reasons
      throw SigningError(.malformedDER, "the encrypted key is damaged; check that it is complete", reasons: reasons)
    }
    defer { X509_SIG_free(structure) }
    let info = passphrase.withUnsafeBytes { passphrase in
      // A null pointer would mean "no passphrase", which is not the same as an empty one.
      var none: CChar = 0
      let characters = passphrase.baseAddress?.assumingMemoryBound(to: CChar.self)
      return withUnsafePointer(to: &none) { PKCS8_decrypt(structure, characters ?? $0, Int32(passphrase.count)) }
    }
    guard let info else { throw refusal(OpenSSLErrors.drain()) }
    defer { PKCS8_PRIV_KEY_INFO_free(info) }

    let count = Int(i2d_PKCS8_PRIV_KEY_INFO(info, nil))
    guard count > 0 else { throw OpenSSLErrors.libraryFailure("decode a decrypted key") }
    return try SecretBytes(capacity: count) { (output) throws(SigningError) in
      try output.appendInPlace(count) { (target) throws(SigningError) in
        var next = target.baseAddress
        guard i2d_PKCS8_PRIV_KEY_INFO(info, &next) == Int32(count) else {
          throw OpenSSLErrors.libraryFailure("decode a decrypted key")
        }
      }
    }
  }

  /// The traditional form: a PEM block with `Proc-Type: 4,ENCRYPTED` and `DEK-Info` headers. Yields what the block's
  /// label says. With a wrong passphrase one try in 256 looks like success and yields garbage: the caller must take
  /// malformed contents for a wrong passphrase.
  static func open(
    _ block: PEMFile.Block, in bytes: Span<UInt8>, passphrase: Span<UInt8>?
  ) throws(SigningError) -> SecretBytes {
    guard let passphrase else { throw passphraseRequired() }
    try checkLength(passphrase)
    let encrypted = try PEMFile.decode(block, in: bytes)
    var header = bytes.extracting(block.headers).copiedBytes.map { CChar(truncatingIfNeeded: $0) } + [0]
    return try SecretBytes(capacity: encrypted.count) { (output) throws(SigningError) in
      encrypted.withBytes { output.append(copying: $0) }
      var length = encrypted.count
      let outcome = output.withUnsafeMutableBufferPointer { body, initialized in
        let outcome = passphrase.withUnsafeBufferPointer { passphrase in
          chancery_decrypt_traditional_pem(&header, body.baseAddress, &length, passphrase.baseAddress, passphrase.count)
        }
        // What decryption did not fill stays behind in memory that is wiped with the rest.
        if outcome == 1 { initialized = length }
        return outcome
      }
      if outcome < 0 {
        throw SigningError(
          .unsupportedEncryption,
          "the PEM headers name no supported encryption; convert it with: openssl pkey -in FILE",
          reasons: OpenSSLErrors.drain().reasons)
      }
      guard outcome == 1 else { throw refusal(OpenSSLErrors.drain()) }
    }
  }

  /// The failure of a decryption: a wrong passphrase cannot be told from damaged bytes.
  static func wrongPassphrase(reasons: [String] = []) -> SigningError {
    SigningError(
      .wrongPassphrase, "the passphrase does not open the key, or the file is damaged; check the passphrase",
      reasons: reasons)
  }

  private static func passphraseRequired() -> SigningError {
    SigningError(.passphraseRequired, "the key is encrypted; give its passphrase")
  }

  private static func checkLength(_ passphrase: Span<UInt8>) throws(SigningError) {
    guard passphrase.count <= maximumPassphraseBytes else {
      throw SigningError(.wrongPassphrase, "the passphrase is longer than \(maximumPassphraseBytes) bytes")
    }
  }

  private static func refusal(_ errors: OpenSSLErrors) -> SigningError {
    if errors.isUnsupported {
      return SigningError(
        .unsupportedEncryption,
        "the key's encryption is not supported; convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc",
        reasons: errors.reasons)
    }
    guard !errors.isFatal else {
      return SigningError(.libraryFailure, "OpenSSL failed to decrypt a key; check memory", reasons: errors.reasons)
    }
    return wrongPassphrase(reasons: errors.reasons)
  }
}
