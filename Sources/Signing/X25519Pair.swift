internal import CSodium

/// An X25519 key pair (RFC 7748, 6.1) whose private half is wiped when the value is destroyed.
struct X25519Pair: ~Copyable, Sendable {
  let publicKey: SealingPublicKey
  private let privateKey: SecretBytes

  /// A pair of fresh randomness; about 30 µs.
  init() throws(SigningError) {
    try self.init(privateKey: SecretBytes(randomCount: SealingPublicKey.byteCount))
  }

  /// The pair of 32 uniformly random bytes. X25519 itself clears and sets the bits that a scalar must not or must have.
  init(privateKey: consuming SecretBytes) throws(SigningError) {
    Sodium.prepare()
    precondition(privateKey.count == SealingPublicKey.byteCount, "a scalar of 32 bytes")
    var publicKey = [UInt8](repeating: 0, count: SealingPublicKey.byteCount)
    let result = privateKey.withBytes { scalar in
      scalar.withUnsafeBufferPointer { crypto_scalarmult_curve25519_base(&publicKey, $0.baseAddress!) }
    }
    guard result == 0 else { throw SigningError(.libraryFailure, "libsodium failed to make an X25519 key") }
    self.publicKey = try SealingPublicKey(bytes: publicKey.span)
    self.privateKey = privateKey
  }

  /// The Diffie-Hellman secret with someone else's public key.
  /// - Throws: `invalid_recipient` if it is all zero, which means that the other key is a point of small order and that
  ///   anyone could compute the secret (RFC 7748, 6.1).
  borrowing func sharedSecret(with other: SealingPublicKey) throws(SigningError) -> SecretBytes {
    try SecretBytes(capacity: SealingPublicKey.byteCount) { (output) throws(SigningError) in
      try output.appendInPlace(SealingPublicKey.byteCount) { (target) throws(SigningError) in
        let result = privateKey.withBytes { scalar in
          scalar.withUnsafeBufferPointer {
            crypto_scalarmult_curve25519(target.baseAddress!, $0.baseAddress!, other.bytes)
          }
        }
        guard result == 0, sodium_is_zero(target.baseAddress!, target.count) == 0 else {
          throw SigningError(
            .invalidRecipient, "the X25519 public key is of small order and yields no secret; make a new key pair")
        }
      }
    }
  }
}
