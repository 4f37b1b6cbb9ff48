internal import COpenSSL

/// A context of OpenSSL that is set up for SHA-256, freed with this value.
struct DigestContext: ~Copyable, @unchecked Sendable {
  // Unchecked: it belongs to this value alone, and owners use it only while they are borrowed exclusively.
  let pointer: OpaquePointer

  /// Throws `resource_exhausted` or `library_failure`.
  init() throws(SigningError) {
    guard let context = EVP_MD_CTX_new() else { throw OpenSSLErrors.libraryFailure("make a digest context") }
    guard let sha256 = SHA256Implementation.pointer, EVP_DigestInit_ex2(context, sha256, nil) == 1 else {
      EVP_MD_CTX_free(context)
      throw OpenSSLErrors.libraryFailure("find SHA-256")
    }
    pointer = context
  }

  deinit { EVP_MD_CTX_free(pointer) }
}

/// SHA-256 of OpenSSL's provider, looked up once per process: a look-up takes longer than hashing a small payload.
struct SHA256Implementation: @unchecked Sendable {
  // Unchecked: a fetched algorithm is immutable, counts its references atomically and is never freed.
  private let fetched: OpaquePointer?

  private static let shared = SHA256Implementation(fetched: EVP_MD_fetch(nil, "SHA256", nil))

  /// Nil if the provider has no SHA-256, which a broken OpenSSL configuration can cause.
  static var pointer: OpaquePointer? { shared.fetched }
}
