internal import COpenSSL
internal import CSodium

/// Makes pure Ed25519 signatures with whichever library is faster for the size of the payload; the bytes are the same
/// (RFC 8032 leaves nothing to choose).
///
/// libsodium takes half of OpenSSL's time for a short payload, OpenSSL has the faster SHA-512, which a payload goes
/// through twice. They meet near 16 KiB; at 1 MiB OpenSSL takes two thirds of libsodium's time.
///
/// A class because it makes the OpenSSL key only when a long payload comes; whoever owns it sees to it that one thread
/// uses it at a time.
final class Ed25519Signer {
  /// Payloads from this size on are signed by OpenSSL. In bytes.
  static let largePayloadBytes = 16384

  private let pair: Ed25519Pair
  private var large: LargePayloadSigner?

  /// Takes the 32-byte seed; about 15 µs.
  init(seed: Span<UInt8>) throws(SigningError) {
    pair = try Ed25519Pair(seed: seed)
  }

  /// Appends the 64 bytes of the signature. The caller has made room.
  func sign(_ payload: Span<UInt8>, into output: inout OutputSpan<UInt8>) throws(SigningError) {
    guard payload.count < Self.largePayloadBytes else { return try largeSigner().sign(payload, into: &output) }
    let result = output.withUnsafeMutableBufferPointer { buffer, initialized in
      let result = pair.secretKey.withBytes { key in
        key.withUnsafeBufferPointer { key in
          payload.withUnsafeBufferPointer { payload in
            crypto_sign_ed25519_detached(
              buffer.baseAddress! + initialized, nil, payload.baseAddress, UInt64(payload.count), key.baseAddress!)
          }
        }
      }
      if result == 0 { initialized += crypto_sign_ed25519_bytes() }
      return result
    }
    guard result == 0 else { throw SigningError(.libraryFailure, "libsodium failed to sign") }
  }

  private func largeSigner() throws(SigningError) -> LargePayloadSigner {
    if let large { return large }
    let made = try pair.secretKey.withBytes { (key) throws(SigningError) in
      try LargePayloadSigner(EVPKey(ed25519: 0..<crypto_sign_ed25519_seedbytes(), in: key))
    }
    large = made
    return made
  }
}

/// The same by OpenSSL.
private final class LargePayloadSigner {
  private let key: EVPKey
  private let context: OpaquePointer

  init(_ key: consuming EVPKey) throws(SigningError) {
    guard let context = EVP_MD_CTX_new() else { throw OpenSSLErrors.libraryFailure("make a signature context") }
    self.key = key
    self.context = context
  }

  deinit {
    EVP_MD_CTX_free(context)
  }

  func sign(_ payload: Span<UInt8>, into output: inout OutputSpan<UInt8>) throws(SigningError) {
    let ok = output.withUnsafeMutableBufferPointer { buffer, initialized in
      var count = buffer.count - initialized
      let ok = payload.withUnsafeBufferPointer { payload in
        EVP_DigestSignInit_ex(context, nil, nil, nil, nil, key.pointer, nil) == 1
          && EVP_DigestSign(context, buffer.baseAddress! + initialized, &count, payload.baseAddress, payload.count) == 1
      }
      if ok { initialized += count }
      return ok
    }
    guard ok else { throw OpenSSLErrors.libraryFailure("sign") }
  }
}
