internal import CSodium
public import Domain

/// The public half of a key: an immutable value that may be kept, compared and sent anywhere.
///
/// To check many signatures with one key, make a ``SignatureVerifier``.
public struct PublicKey: Sendable, Hashable {
  /// What signatures of this key are made with.
  public let algorithm: SignatureAlgorithm

  /// SubjectPublicKeyInfo in DER (RFC 5280), EC points uncompressed: equal keys have equal bytes.
  public let der: [UInt8]

  let layout: PublicKeyLayout

  /// Reads SubjectPublicKeyInfo, as PEM (`PUBLIC KEY`) or as DER.
  /// - Throws: `malformed_pem`, `malformed_der`, `key_too_large`, `private_key_given`, `certificate_given`,
  ///   `several_keys`, `trailing_data`, `unsupported_key_type`, `wrong_curve`, `unsupported_key_size`,
  ///   `inconsistent_key` if it is not a valid point; or `library_failure`.
  public init(importing file: Span<UInt8>) throws(SigningError) {
    try KeyFile.checkSize(file)
    if PEMFile.isPresent(in: file) {
      let block = try KeyFile.publicBlock(of: try PEMFile(file))
      let contents = try PEMFile.decode(block, in: file)
      self = try contents.withBytes { (contents) throws(SigningError) in try PublicKey(der: contents) }
    } else if file.isEmpty || file[0] != DERCursor.Tag.sequence.rawValue {
      throw PEMFile.malformed("there is no line that starts with -----BEGIN, and it is not DER either")
    } else {
      try self.init(der: file)
    }
  }

  /// Reads SubjectPublicKeyInfo in DER, such as ``der`` of a stored key.
  /// - Throws: As ``init(importing:)``, without the codes about PEM.
  public init(der bytes: Span<UInt8>) throws(SigningError) {
    try KeyFile.checkSize(bytes)
    let shape = try DERShape(of: bytes)
    switch shape {
    case .subjectPublicKeyInfo: break
    case .certificate: throw KeyFile.certificateGiven()
    case .pkcs1Public: throw KeyFile.pkcs1PublicGiven()
    case .pkcs12: throw KeyFile.pkcs12Given()
    case .unknown: throw DERCursor.malformed("it is no SubjectPublicKeyInfo", at: 0)
    case .pkcs8, .encryptedPKCS8, .sec1, .pkcs1: throw KeyFile.privateKeyGiven()
    }
    switch try PublicKeyLayout(subjectPublicKeyInfo: bytes) {
    case .p256(let point):
      let point = try PrivateKeyCheck.uncompressed(bytes.extracting(point))
      try self.init(canonical: PublicKeyEncoding.p256(point: point.span))
    case .ed25519(let key):
      try Self.checkEd25519(bytes.extracting(key))
      try self.init(canonical: bytes.copiedBytes)
    case .rsa:
      try self.init(canonical: bytes.copiedBytes)
    }
  }

  /// The public half of a private key that was checked.
  init(of layout: PrivateKeyLayout, in bytes: Span<UInt8>) throws(SigningError) {
    switch layout {
    case .p256(_, let point):
      guard let point else { preconditionFailure("a canonical P-256 key has its point") }
      try self.init(canonical: PublicKeyEncoding.p256(point: bytes.extracting(point)))
    case .ed25519(let seed, _):
      let key = try PrivateKeyCheck.ed25519PublicKey(of: bytes.extracting(seed))
      try self.init(canonical: PublicKeyEncoding.ed25519(key.span))
    case .rsa(let integers, _):
      try self.init(canonical: PublicKeyEncoding.rsa(Array(integers.prefix(2)), in: bytes))
    }
  }

  private init(canonical der: [UInt8]) throws(SigningError) {
    layout = try PublicKeyLayout(subjectPublicKeyInfo: der.span)
    algorithm = layout.algorithm
    self.der = der
  }

  /// Names the key by its content.
  public var fingerprint: KeyFingerprint {
    get throws(SigningError) {
      var digester = try PayloadDigester()
      return KeyFingerprint(digest: try digester.digest(der.span))
    }
  }

  /// The key as a PEM file (RFC 7468), byte for byte as `openssl pkey -pubout` prints it.
  public var pem: String {
    let variant = sodium_base64_VARIANT_ORIGINAL
    let encoded = [CChar](unsafeUninitializedCapacity: sodium_base64_encoded_len(der.count, variant)) { text, count in
      // Returns its argument: the buffer has the size that libsodium asked for, and it ends with a zero.
      _ = sodium_bin2base64(text.baseAddress!, text.count, der, der.count, variant)
      count = text.count
    }
    var lines = "-----BEGIN PUBLIC KEY-----\n"
    var rest = encoded.dropLast().map { UInt8(bitPattern: $0) }[...]
    while !rest.isEmpty {
      lines += String(decoding: rest.prefix(64), as: UTF8.self) + "\n"
      rest = rest.dropFirst(64)
    }
    return lines + "-----END PUBLIC KEY-----\n"
  }

  /// Whether the signature is this key's over exactly these bytes. A malformed signature is simply not valid.
  ///
  /// Decodes the key each time, at most about 20 µs; a ``SignatureVerifier`` does it once.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public func verify(signature: Span<UInt8>, payload: Span<UInt8>) throws(SigningError) -> Bool {
    var verifier = try SignatureVerifier(self)
    return try verifier.verify(signature: signature, payload: payload)
  }

  /// With a point of small order anyone could make signatures, and libsodium accepts none of those either.
  private static func checkEd25519(_ key: Span<UInt8>) throws(SigningError) {
    Sodium.prepare()
    let isValid = key.withUnsafeBufferPointer { crypto_core_ed25519_is_valid_point($0.baseAddress!) }
    guard isValid == 1 else {
      throw SigningError(.inconsistentKey, "the Ed25519 public key is not a valid point; export the key again")
    }
  }
}

extension PublicKey: CustomStringConvertible {
  /// Algorithm and fingerprint.
  public var description: String {
    let name = try? fingerprint.description
    return "\(algorithm) \(name ?? "(fingerprint unavailable)")"
  }
}
