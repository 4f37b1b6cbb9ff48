internal import COpenSSL
public import Domain

/// SHA-256 of bytes that come piece by piece.
///
/// Any one thread may use it at a time.
public struct RunningDigest: ~Copyable, Sendable {
  private let context: DigestContext

  /// Begins.
  /// - Throws: `resource_exhausted` or `library_failure`.
  public init() throws(SigningError) { context = try DigestContext() }

  /// Adds bytes.
  /// - Throws: `library_failure`.
  public mutating func update(_ bytes: [UInt8]) throws(SigningError) {
    guard EVP_DigestUpdate(context.pointer, bytes, bytes.count) == 1 else {
      throw OpenSSLErrors.libraryFailure("hash")
    }
  }

  /// The hash of all bytes so far; what is added later begins anew.
  /// - Throws: `library_failure`.
  public mutating func finish() throws(SigningError) -> SHA256Digest {
    let context = context.pointer
    return try SHA256Digest { (target) throws(SigningError) in
      guard EVP_DigestFinal_ex(context, target.baseAddress, nil) == 1, EVP_DigestInit_ex2(context, nil, nil) == 1 else {
        throw OpenSSLErrors.libraryFailure("hash")
      }
    }
  }
}
