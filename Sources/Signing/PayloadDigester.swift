internal import COpenSSL
public import Domain

/// Hashes payloads with SHA-256, one after another in the same context: 0.2 µs for 192 bytes.
///
/// Any one thread may use it at a time.
public struct PayloadDigester: ~Copyable, Sendable {
  private let context: DigestContext

  /// Makes the context.
  /// - Throws: `resource_exhausted` or `library_failure`.
  public init() throws(SigningError) { context = try DigestContext() }

  /// The hash of exactly these bytes.
  /// - Throws: `library_failure`.
  public mutating func digest(_ payload: Span<UInt8>) throws(SigningError) -> SHA256Digest {
    try hash(payload)
  }

  /// As ``digest(_:)``, for owners that are themselves borrowed exclusively.
  borrowing func hash(_ payload: Span<UInt8>) throws(SigningError) -> SHA256Digest {
    let context = context.pointer
    return try SHA256Digest { (target) throws(SigningError) in
      let ok = payload.withUnsafeBytes { payload in
        // The context keeps its algorithm: initialising with none starts the next message without looking it up.
        EVP_DigestInit_ex2(context, nil, nil) == 1
          && EVP_DigestUpdate(context, payload.baseAddress, payload.count) == 1
          && EVP_DigestFinal_ex(context, target.baseAddress, nil) == 1
      }
      guard ok else { throw OpenSSLErrors.libraryFailure("hash a payload") }
    }
  }
}
