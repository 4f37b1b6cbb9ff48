internal import CSodium

/// BLAKE2b (RFC 7693) as a key derivation function: the personalization separates uses, so that no derived key says
/// anything about another.
enum Blake2b {
  /// `count` bytes from 16 to 64, of a message and an optional key of at most 64 bytes. The salt is zero.
  static func derive(
    _ count: Int, from message: Span<UInt8>, key: Span<UInt8>? = nil, personalization: [UInt8]
  ) throws(SigningError) -> SecretBytes {
    Sodium.prepare()
    precondition(personalization.count == crypto_generichash_blake2b_personalbytes(), "a personalization of 16 bytes")
    return try SecretBytes(capacity: count) { (output) throws(SigningError) in
      try output.appendInPlace(count) { (target) throws(SigningError) in
        let result = message.withUnsafeBufferPointer { message in
          guard let key else {
            return crypto_generichash_blake2b_salt_personal(
              target.baseAddress!, count, message.baseAddress, UInt64(message.count), nil, 0, nil, personalization)
          }
          return key.withUnsafeBufferPointer { key in
            crypto_generichash_blake2b_salt_personal(
              target.baseAddress!, count, message.baseAddress, UInt64(message.count), key.baseAddress, key.count, nil,
              personalization)
          }
        }
        guard result == 0 else { throw SigningError(.libraryFailure, "libsodium failed to derive a key") }
      }
    }
  }
}
