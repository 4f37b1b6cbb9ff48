internal import CSodium
public import Domain

/// Checks many signatures with one public key: the key is decoded once and the contexts are reused, so that a check
/// costs little more than the library's own arithmetic.
///
/// Any one thread may use it at a time. A malformed signature is not valid, whatever is wrong with it. Ed25519 is
/// checked by libsodium, in half of OpenSSL's time, for every size of payload: the libraries differ in which of the
/// signatures nobody makes honestly they accept, and an answer must not depend on a payload's size. libsodium refuses
/// the doubtful ones (points of small order, s not reduced).
public struct SignatureVerifier: ~Copyable, @unchecked Sendable {
  // Unchecked: the context belongs to this value alone and is used only while the value is borrowed exclusively.

  /// What the signatures are checked as.
  public let algorithm: SignatureAlgorithm

  private var digester: PayloadDigester
  private let method: Method
  private let prefix: [UInt8]

  enum Method: ~Copyable {
    case digest(EVPContext)
    case ed25519(publicKey: [UInt8])
  }

  /// What ``check(signature:payload:signedDigest:)`` finds.
  public enum Verdict: Sendable, Hashable {
    /// The signature is this key's over the payload, whose digest is the one given.
    case valid
    /// The payload has the digest that was signed, but the signature is not this key's.
    case invalidSignature
    /// The payload is not what was signed: its digest differs. The signature was not looked at.
    case payloadChanged
  }

  /// Decodes the key; at most about 20 µs. Every payload was signed with `prefix` before it, as
  /// ``SignatureForm/prefix(_:_:)`` makes it.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public init(_ key: PublicKey, prefix: [UInt8] = []) throws(SigningError) {
    Sodium.prepare()
    let method: Method =
      switch key.layout {
      case .p256(let point):
        .digest(try EVPContext(.verify, try EVPKey(p256: point, scalar: nil, in: key.der.span), key.algorithm))
      case .rsa(let integers, _):
        .digest(try EVPContext(.verify, try EVPKey(rsa: integers, in: key.der.span), key.algorithm))
      case .ed25519(let range):
        .ed25519(publicKey: Array(key.der[range]))
      }
    digester = try PayloadDigester()
    algorithm = key.algorithm
    self.method = method
    self.prefix = prefix
  }

  /// Whether the signature is the key's over the prefix and exactly these bytes.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public mutating func verify(signature: Span<UInt8>, payload: Span<UInt8>) throws(SigningError) -> Bool {
    guard !prefix.isEmpty else { return try isValid(signature, over: payload, digest: nil) }
    let message = prefix + payload.copiedBytes
    return try isValid(signature, over: message.span, digest: nil)
  }

  /// Whether the signature is the key's over a payload of which only the SHA-256 is known. Nil where that cannot be said
  /// without the payload: Ed25519 does not sign the digest, and nothing with a prefix does.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public borrowing func verify(
    signature: Span<UInt8>, payloadDigest: SHA256Digest
  ) throws(SigningError) -> Bool? {
    guard prefix.isEmpty else { return nil }
    switch method {
    case .digest(let context): return try context.verify(signature, over: payloadDigest)
    case .ed25519: return nil
    }
  }

  /// As ``verify(signature:payload:)``, and tells a payload that changed after it was signed from a wrong signature by
  /// the digest that was stored with it. The payload is hashed once for both.
  /// - Throws: `library_failure` or `resource_exhausted`.
  public mutating func check(
    signature: Span<UInt8>, payload: Span<UInt8>, signedDigest: SHA256Digest
  ) throws(SigningError) -> Verdict {
    let digest = try digester.digest(payload)
    guard digest == signedDigest else { return .payloadChanged }
    let isValid =
      prefix.isEmpty
      ? try isValid(signature, over: payload, digest: digest) : try verify(signature: signature, payload: payload)
    return isValid ? .valid : .invalidSignature
  }

  /// `digest` is that of the message, if it is known.
  private borrowing func isValid(
    _ signature: Span<UInt8>, over message: Span<UInt8>, digest: SHA256Digest?
  ) throws(SigningError) -> Bool {
    switch method {
    case .digest(let context):
      if let digest { return try context.verify(signature, over: digest) }
      return try context.verify(signature, over: try digester.hash(message))
    case .ed25519(let publicKey): return Self.isEd25519(signature, over: message, by: publicKey)
    }
  }

  private static func isEd25519(
    _ signature: Span<UInt8>, over payload: Span<UInt8>, by publicKey: [UInt8]
  ) -> Bool {
    guard signature.count == crypto_sign_ed25519_bytes() else { return false }
    return signature.withUnsafeBufferPointer { signature in
      payload.withUnsafeBufferPointer { payload in
        crypto_sign_ed25519_verify_detached(
          signature.baseAddress!, payload.baseAddress, UInt64(payload.count), publicKey) == 0
      }
    }
  }
}
