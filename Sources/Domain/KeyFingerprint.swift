/// Names a public key by its content: the SHA-256 of its SubjectPublicKeyInfo in DER.
///
/// `openssl pkey -pubin -outform DER | sha256sum` prints the same digits.
public struct KeyFingerprint: Hashable, Sendable, CustomStringConvertible {
  /// The hash itself.
  public let digest: SHA256Digest

  /// Wraps the hash of a SubjectPublicKeyInfo.
  public init(digest: SHA256Digest) {
    self.digest = digest
  }

  /// `SHA256:` and 64 hexadecimal digits.
  public var description: String { "SHA256:\(digest)" }
}
