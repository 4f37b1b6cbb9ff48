internal import COpenSSL
public import Domain

/// SHA-256 of bytes that come piece by piece.
///
/// Any one thread may use it at a time.
public struct RunningDigest: ~Copyable, @unchecked Sendable {
  // Unchecked: the context belongs to this value alone and is used only while the value is borrowed exclusively.
  private let context: OpaquePointer

  /// Begins.
  /// - Throws: `resource_exhausted` or `library_failure`.
  public init() throws(SigningError) {
    guard let context = EVP_MD_CTX_new() else { throw OpenSSLErrors.libraryFailure("make a digest context") }
    guard let sha256 = SHA256Implementation.pointer, EVP_DigestInit_ex2(context, sha256, nil) == 1 else {
      EVP_MD_CTX_free(context)
      throw OpenSSLErrors.libraryFailure("find SHA-256")
    }
    self.context = context
  }

  deinit {
    EVP_MD_CTX_free(context)
  }

  /// Adds bytes.
  /// - Throws: `library_failure`.
  public mutating func update(_ bytes: [UInt8]) throws(SigningError) {
    guard EVP_DigestUpdate(context, bytes, bytes.count) == 1 else {
      throw OpenSSLErrors.libraryFailure("hash")
    }
  }

  /// The hash of all bytes so far; what is added later begins anew.
  /// - Throws: `library_failure`.
  public mutating func finish() throws(SigningError) -> SHA256Digest {
    let context = context
    return try SHA256Digest { (target) throws(SigningError) in
      guard EVP_DigestFinal_ex(context, target.baseAddress, nil) == 1, EVP_DigestInit_ex2(context, nil, nil) == 1 else {
        throw OpenSSLErrors.libraryFailure("hash")
      }
    }
  }
}
