internal import CSodium

/// An Ed25519 key in libsodium's form: the seed followed by the public key.
struct Ed25519Pair: ~Copyable {
  let secretKey: SecretBytes
  let publicKey: [UInt8]

  /// Computes the public key of a 32-byte seed; about 15 µs.
  init(seed: Span<UInt8>) throws(SigningError) {
    Sodium.prepare()
    precondition(seed.count == crypto_sign_ed25519_seedbytes(), "a seed of 32 bytes")
    var publicKey = [UInt8](repeating: 0, count: crypto_sign_ed25519_publickeybytes())
    secretKey = try SecretBytes(capacity: crypto_sign_ed25519_secretkeybytes()) { (output) throws(SigningError) in
      try output.appendInPlace(crypto_sign_ed25519_secretkeybytes()) { (target) throws(SigningError) in
        let result = seed.withUnsafeBufferPointer { seed in
          crypto_sign_ed25519_seed_keypair(&publicKey, target.baseAddress!, seed.baseAddress!)
        }
        guard result == 0 else { throw SigningError(.libraryFailure, "libsodium failed to make an Ed25519 key") }
      }
    }
    self.publicKey = publicKey
  }
}
