/// The X25519 public key (RFC 7748) of someone who is to receive a private key: a signer that leases one, or a key
/// keeper that imports one.
///
/// How a private key travels, version 1, for other implementations:
///
/// 1. The sender makes a fresh X25519 pair: `e` private, `E` public. `R` is the recipient's public key, `r` its private
///    half.
/// 2. `Z = X25519(e, R)`, on the recipient's side `X25519(r, E)`. An all-zero `Z` is an error on both sides.
/// 3. `K = BLAKE2b(Z ‖ E ‖ R)` (RFC 7693): 32 bytes of output, no key, no salt (16 zero bytes), and as personalization
///    (the BLAKE2 paper, 2.8) the 16 ASCII bytes `chancery-seal-v1`.
/// 4. `N` is 24 random bytes. `C` is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, 2) of the plaintext under `K` and
///    `N`, the tag of 16 bytes at its end, with the associated data `01 ‖ purpose`.
/// 5. The purpose of a lease is `01`, the key id (8 bytes, big-endian) and the epoch (8 bytes, big-endian); that of an import is
///    `02` and the algorithm's storage code (1 byte).
/// 6. The message is `01 ‖ E ‖ N ‖ C`, 73 bytes more than the plaintext. The plaintext is PKCS#8 DER (RFC 5208).
public struct SealingPublicKey: Sendable, Hashable {
  /// The 32 bytes as RFC 7748 encodes them.
  public let bytes: [UInt8]

  /// Length of a key in bytes.
  public static let byteCount = 32

  /// A key as received.
  /// - Throws: `invalid_recipient` unless there are 32 bytes. A key of small order is found out when it is used.
  public init(bytes: Span<UInt8>) throws(SigningError) {
    guard bytes.count == Self.byteCount else {
      throw SigningError(.invalidRecipient, "an X25519 public key has \(Self.byteCount) bytes, not \(bytes.count)")
    }
    self.bytes = bytes.copiedBytes
  }

  /// Seals PKCS#8, such as ``KeyEncryptionKey`` unwraps, to the holder of this key; about 60 µs.
  /// - Throws: `invalid_recipient` if this key is of small order, `key_too_large`, `resource_exhausted`.
  public func seal(_ pkcs8: borrowing SecretBytes, for purpose: SealPurpose) throws(SigningError) -> [UInt8] {
    try KeySeal.seal(pkcs8, to: self, for: purpose)
  }

  /// Seals a private key to the holder of this key; about 60 µs.
  /// - Throws: As ``seal(_:for:)-(SecretBytes,_)``.
  public func seal(_ key: borrowing PrivateKey, for purpose: SealPurpose) throws(SigningError) -> [UInt8] {
    try KeySeal.seal(try key.pkcs8(), to: self, for: purpose)
  }
}

extension SealingPublicKey: CustomStringConvertible {
  /// The first four bytes in hexadecimal: enough to tell keys apart in a log.
  public var description: String {
    "x25519:" + bytes.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "…"
  }
}
