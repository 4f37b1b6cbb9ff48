internal import COpenSSL
internal import Domain

/// An `EVP_PKEY_CTX` that signs or verifies digests with one ECDSA or RSA key, initialised once and used many times:
/// making one anew for each message costs some 4 µs.
struct EVPContext: ~Copyable, @unchecked Sendable {
  // Unchecked: the context belongs to this value alone; its owners borrow it exclusively for each use.
  private let pointer: OpaquePointer

  enum Purpose {
    case sign
    case verify
  }

  /// The context keeps the key alive by a reference of its own.
  init(_ purpose: Purpose, _ key: borrowing EVPKey, _ algorithm: SignatureAlgorithm) throws(SigningError) {
    guard let pointer = EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil) else {
      throw OpenSSLErrors.libraryFailure("make a signature context")
    }
    let isInitialised =
      switch purpose {
      case .sign: EVP_PKEY_sign_init(pointer) == 1
      case .verify: EVP_PKEY_verify_init(pointer) == 1
      }
    guard isInitialised, Self.setParameters(pointer, algorithm) else {
      EVP_PKEY_CTX_free(pointer)
      throw OpenSSLErrors.libraryFailure("initialise a signature context")
    }
    self.pointer = pointer
  }

  deinit {
    EVP_PKEY_CTX_free(pointer)
  }

  /// Appends the signature over a digest. The caller has made room for the longest.
  borrowing func sign(_ digest: SHA256Digest, into output: inout OutputSpan<UInt8>) throws(SigningError) {
    let ok = output.withUnsafeMutableBufferPointer { buffer, initialized in
      var count = buffer.count - initialized
      let ok = digest.withBytes { digest in
        EVP_PKEY_sign(pointer, buffer.baseAddress! + initialized, &count, digest.baseAddress, digest.count) == 1
      }
      if ok { initialized += count }
      return ok
    }
    guard ok else { throw OpenSSLErrors.libraryFailure("sign") }
  }

  /// Whether the signature is the key's over the digest.
  borrowing func verify(_ signature: Span<UInt8>, over digest: SHA256Digest) throws(SigningError) -> Bool {
    let result = signature.withUnsafeBufferPointer { signature in
      digest.withBytes { digest in
        EVP_PKEY_verify(pointer, signature.baseAddress, signature.count, digest.baseAddress, digest.count)
      }
    }
    guard result != 1 else { return true }
    // 0 is a signature that does not match, and a negative result one that cannot even be parsed, unless the library
    // itself failed.
    let errors = OpenSSLErrors.drain()
    guard result == 0 || !errors.isFatal else {
      throw SigningError(.libraryFailure, "OpenSSL failed to verify; check memory", reasons: errors.reasons)
    }
    return false
  }

  private static func setParameters(_ pointer: OpaquePointer, _ algorithm: SignatureAlgorithm) -> Bool {
    guard let sha256 = SHA256Implementation.pointer else { return false }
    switch algorithm {
    case .ed25519: preconditionFailure("Ed25519 signs payloads, not digests")
    case .ecdsaP256: return EVP_PKEY_CTX_set_signature_md(pointer, sha256) == 1
    case .rsaPSS2048, .rsaPSS3072, .rsaPSS4096:
      return EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_signature_md(pointer, sha256) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(pointer, sha256) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(pointer, Int32(SHA256Digest.byteCount)) == 1
    }
  }
}
