extension PrivateKey {
  /// Reads a private key that someone brings along: PEM or DER; PKCS#8 (also encrypted), SEC1 for EC, PKCS#1 for RSA,
  /// also in the traditional encrypted PEM form. Everything is checked: that the numbers are in range and belong
  /// together too.
  ///
  /// Blocks its thread for up to 0.3 s for RSA 4096, and for some seconds if an encrypted key demands many iterations.
  /// - Parameters:
  ///   - file: The whole file, at most ``maximumEncodedBytes``. The caller wipes it.
  ///   - passphrase: For an encrypted key, at most 1024 bytes; not looked at for others.
  /// - Throws: A code for each thing that can be wrong: `malformed_pem`, `malformed_der`, `key_too_large`,
  ///   `public_key_given`, `certificate_given`, `several_keys`, `trailing_data`, `passphrase_required`,
  ///   `wrong_passphrase`, `unsupported_encryption`, `unsupported_key_type`, `wrong_curve`, `unsupported_key_size`,
  ///   `inconsistent_key`; or `library_failure`, `resource_exhausted`.
  public init(importing file: Span<UInt8>, passphrase: Span<UInt8>? = nil) throws(SigningError) {
    try KeyFile.checkSize(file)
    if PEMFile.isPresent(in: file) {
      try self.init(pem: file, passphrase: passphrase)
    } else if file.isEmpty || file[0] != DERCursor.Tag.sequence.rawValue {
      throw PEMFile.malformed("there is no line that starts with -----BEGIN, and it is not DER either")
    } else {
      try self.init(der: file, passphrase: passphrase)
    }
  }

  private init(pem file: Span<UInt8>, passphrase: Span<UInt8>?) throws(SigningError) {
    let block = try KeyFile.privateBlock(of: try PEMFile(file))
    guard block.headers.isEmpty else {
      let contents = try EncryptedKey.open(block, in: file, passphrase: passphrase)
      do throws(SigningError) {
        self = try contents.withBytes { (contents) throws(SigningError) in try Self(labelled: block, contents, nil) }
      } catch {
        let isGarbage = error.code == .malformedDER || error.code == .trailingData
        throw isGarbage ? EncryptedKey.wrongPassphrase() : error
      }
      return
    }
    let contents = try PEMFile.decode(block, in: file)
    self = try contents.withBytes { (contents) throws(SigningError) in try Self(labelled: block, contents, passphrase) }
  }

  /// The label must agree with what the block holds.
  private init(
    labelled block: PEMFile.Block, _ contents: Span<UInt8>, _ passphrase: Span<UInt8>?
  ) throws(SigningError) {
    let shape = try DERShape(of: contents)
    guard KeyFile.shape(ofLabel: block.label) == shape else {
      throw SigningError(
        .malformedDER, "the \(block.label) block holds something else than its label says; export the key again")
    }
    try self.init(der: contents, passphrase: passphrase)
  }

  private init(der bytes: Span<UInt8>, passphrase: Span<UInt8>?) throws(SigningError) {
    switch try DERShape(of: bytes) {
    case .pkcs8: try self.init(try PrivateKeyLayout(pkcs8: bytes), in: bytes, trusted: false)
    case .sec1: try self.init(try PrivateKeyLayout(sec1: bytes), in: bytes, trusted: false)
    case .pkcs1: try self.init(try PrivateKeyLayout(pkcs1: bytes), in: bytes, trusted: false)
    case .encryptedPKCS8:
      let opened = try EncryptedKey.open(pkcs8: bytes, passphrase: passphrase)
      self = try opened.withBytes { (bytes) throws(SigningError) in
        try PrivateKey(try PrivateKeyLayout(pkcs8: bytes), in: bytes, trusted: false)
      }
    case .subjectPublicKeyInfo, .pkcs1Public: throw KeyFile.publicKeyGiven()
    case .certificate: throw KeyFile.certificateGiven()
    case .pkcs12: throw KeyFile.pkcs12Given()
    case .unknown: throw DERCursor.malformed("it is no structure that holds a private key", at: 0)
    }
  }
}
