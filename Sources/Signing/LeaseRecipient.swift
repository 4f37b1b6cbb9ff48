/// A signer's side of key leases: an X25519 pair that exists only in memory. Its public half goes out with the request
/// for a lease, and only this value can open what comes back. The private half is wiped with it.
///
/// One value may serve many leases, one at a time or several at once; a signer makes a new one at least at every start.
public struct LeaseRecipient: ~Copyable, Sendable {
  private let pair: X25519Pair

  /// Makes a pair of fresh randomness; about 30 µs.
  /// - Throws: `resource_exhausted` or `library_failure`.
  public init() throws(SigningError) {
    pair = try X25519Pair()
  }

  /// What the sender seals to.
  public var publicKey: SealingPublicKey { pair.publicKey }

  /// Opens a sealed private key; about 32 µs. The result goes into ``PrivateKey/init(trustedPKCS8:)``.
  /// - Throws: `malformed_ciphertext` if it is cut short or of an unknown version, `authentication_failed` if it was
  ///   altered or sealed to someone else or for another purpose.
  public borrowing func open(_ sealed: Span<UInt8>, for purpose: SealPurpose) throws(SigningError) -> SecretBytes {
    try KeySeal.open(sealed, with: pair, for: purpose)
  }
}
