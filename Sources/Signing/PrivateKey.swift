public import Domain

/// A private signing key. It cannot be copied or printed, lies in ``SecretBytes`` as canonical PKCS#8, and is wiped
/// when it is destroyed. To sign, make a ``BatchSigner`` of it.
public struct PrivateKey: ~Copyable, Sendable {
  /// What the key signs with.
  public let algorithm: SignatureAlgorithm

  /// Canonical PKCS#8; ``layout`` says where its numbers are.
  private let der: SecretBytes
  private let layout: PrivateKeyLayout

  /// No PKCS#8 of an accepted key is longer; an encrypted PEM file with headers stays below this too. In bytes.
  public static let maximumEncodedBytes = 16384

  /// A new key from the operating system's randomness. RSA keys get two primes and the exponent 65537.
  ///
  /// Blocks its thread: about 0.1 s for RSA 2048 and seconds for RSA 4096, so do not call it on Swift's shared threads.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public static func generate(_ algorithm: SignatureAlgorithm) throws(SigningError) -> PrivateKey {
    switch algorithm {
    case .ecdsaP256: try generateP256()
    case .ed25519: try generateEd25519()
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096: try generateRSA(algorithm)
    }
  }

  /// A key that ``pkcs8()`` exported and that has been kept under a seal since: its structure is checked, but not again
  /// whether its numbers belong together, which takes longer than signing a batch. Takes about 1 µs.
  /// - Throws: `malformed_der` or another code of ``init(importing:passphrase:)`` if it is something else.
  public init(trustedPKCS8 bytes: borrowing SecretBytes) throws(SigningError) {
    self = try bytes.withBytes { (bytes) throws(SigningError) in
      try PrivateKey(try PrivateKeyLayout(pkcs8: bytes), in: bytes, trusted: true)
    }
  }

  /// The key as PKCS#8 DER (RFC 5208), unencrypted: the same bytes for the same key, however it was imported.
  /// - Throws: `resource_exhausted`.
  public borrowing func pkcs8() throws(SigningError) -> SecretBytes {
    try der.copy()
  }

  /// The public half. Ed25519 keys compute it, which takes about 15 µs; the others hold it.
  /// - Throws: `library_failure`.
  public var publicKey: PublicKey {
    get throws(SigningError) {
      try withParts { (layout, bytes) throws(SigningError) in try PublicKey(of: layout, in: bytes) }
    }
  }

  /// Re-encodes a key canonically. Unless it is trusted, checks that its numbers are in range and belong together.
  init(_ layout: PrivateKeyLayout, in bytes: Span<UInt8>, trusted: Bool) throws(SigningError) {
    let der: SecretBytes
    switch layout {
    case .p256(let scalar, let point):
      let uncompressed =
        if trusted, let point, PrivateKeyCheck.isUncompressed(point, in: bytes) {
          bytes.extracting(point).copiedBytes
        } else {
          try PrivateKeyCheck.p256Point(scalar: scalar, expecting: point, in: bytes)
        }
      der = try PrivateKeyEncoding.p256(scalar: bytes.extracting(scalar), point: uncompressed.span)
    case .ed25519(let seed, let publicKey):
      if !trusted, let publicKey { try PrivateKeyCheck.ed25519(seed: seed, expecting: publicKey, in: bytes) }
      der = try PrivateKeyEncoding.ed25519(seed: bytes.extracting(seed))
    case .rsa(let integers, _):
      if !trusted { try PrivateKeyCheck.rsa(integers, in: bytes) }
      der = try PrivateKeyEncoding.rsa(integers, in: bytes)
    }
    self.layout = try der.withBytes { (der) throws(SigningError) in try PrivateKeyLayout(pkcs8: der) }
    self.algorithm = layout.algorithm
    self.der = der
  }

  /// Lends the numbers to what decodes them for a library.
  borrowing func withParts<Result: ~Copyable>(
    _ body: (PrivateKeyLayout, Span<UInt8>) throws(SigningError) -> Result
  ) throws(SigningError) -> Result {
    try der.withBytes { (bytes) throws(SigningError) in try body(layout, bytes) }
  }
}
