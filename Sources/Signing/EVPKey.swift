internal import COpenSSL

/// An `EVP_PKEY` of OpenSSL, made from the numbers in our own DER and freed with the value. OpenSSL keeps the private
/// numbers on its secure heap and wipes them when it frees them.
struct EVPKey: ~Copyable, @unchecked Sendable {
  // Unchecked: an EVP_PKEY counts its references atomically and is not altered after it has been made, and contexts for
  // it may be made on any thread.
  let pointer: OpaquePointer

  deinit {
    EVP_PKEY_free(pointer)
  }

  /// The private key whose numbers lie in `bytes`. The curve point must be there and uncompressed.
  init(_ layout: PrivateKeyLayout, in bytes: Span<UInt8>) throws(SigningError) {
    switch layout {
    case .p256(let scalar, let point):
      guard let point else { preconditionFailure("a canonical P-256 key has its point") }
      try self.init(p256: point, scalar: scalar, in: bytes)
    case .ed25519(let seed, _):
      try self.init(ed25519: seed, in: bytes)
    case .rsa(let integers, _):
      try self.init(rsa: integers, in: bytes)
    }
  }

  /// A P-256 key of its point and, for a private one, its 32-byte scalar.
  init(p256 point: Range<Int>, scalar: Range<Int>?, in bytes: Span<UInt8>) throws(SigningError) {
    precondition(scalar == nil || scalar?.count == CHANCERY_P256_SCALAR_BYTES, "a canonical scalar")
    let key = bytes.withUnsafeBufferPointer { bytes -> OpaquePointer? in
      guard let base = bytes.baseAddress else { return nil }
      return chancery_p256_key(scalar.map { base + $0.lowerBound }, base + point.lowerBound, point.count)
    }
    guard let key else { throw Self.refused("the point does not lie on the curve") }
    pointer = key
  }

  /// An Ed25519 private key of its 32-byte seed.
  init(ed25519 seed: Range<Int>, in bytes: Span<UInt8>) throws(SigningError) {
    let key = bytes.extracting(seed).withUnsafeBufferPointer { seed in
      EVP_PKEY_new_raw_private_key(NID_ED25519, nil, seed.baseAddress, seed.count)
    }
    guard let key else { throw OpenSSLErrors.libraryFailure("make an Ed25519 key") }
    pointer = key
  }

  /// An RSA key of n and e, or of all eight integers of a private key in the order of RFC 8017.
  init(rsa integers: [Range<Int>], in bytes: Span<UInt8>) throws(SigningError) {
    var key: OpaquePointer?
    // The integers pass through this memory in machine order.
    _ = try SecretBytes(capacity: integers.reduce(0) { $0 + $1.count }) { scratch in
      key = scratch.withUnsafeMutableBufferPointer { scratch, _ in
        bytes.withUnsafeBufferPointer { bytes in
          guard let base = bytes.baseAddress else { return nil }
          let parts = integers.map { chancery_integer(bytes: base + $0.lowerBound, count: $0.count) }
          return chancery_rsa_key(parts, parts.count, scratch.baseAddress)
        }
      }
    }
    guard let key else { throw Self.refused("its parts were refused") }
    pointer = key
  }

  /// Takes ownership of a new key.
  init(adopting pointer: OpaquePointer) {
    self.pointer = pointer
  }

  /// Whether primes are prime and all parts of an RSA key fit together. Takes 45 ms for 2048 bits and 0.3 s for 4096.
  borrowing func isConsistent() throws(SigningError) -> Bool {
    guard let context = EVP_PKEY_CTX_new_from_pkey(nil, pointer, nil) else {
      throw OpenSSLErrors.libraryFailure("check a key")
    }
    defer { EVP_PKEY_CTX_free(context) }
    if EVP_PKEY_check(context) == 1 { return true }
    let errors = OpenSSLErrors.drain()
    guard !errors.isFatal else {
      throw SigningError(.libraryFailure, "OpenSSL failed to check a key; check memory", reasons: errors.reasons)
    }
    return false
  }

  private static func refused(_ what: String) -> SigningError {
    let errors = OpenSSLErrors.drain()
    guard !errors.isFatal else {
      return SigningError(.libraryFailure, "OpenSSL failed to make a key; check memory", reasons: errors.reasons)
    }
    return SigningError(.inconsistentKey, "the key is not valid: \(what); export it again", reasons: errors.reasons)
  }
}
