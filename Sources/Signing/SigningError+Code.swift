extension SigningError {
  /// A stable name for a kind of failure. New ones may be added; treat an unknown one by its ``kind``.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The name in lower case with underscores.
    public let rawValue: String

    /// Wraps a name.
    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The name.
    public var description: String { rawValue }

    /// Who has to act. Everything that is not listed as the world's failure is the caller's mistake.
    public var kind: Kind { Self.worldFailures.contains(self) ? .world : .caller }

    private static let worldFailures: Set<Code> = [
      .resourceExhausted, .libraryFailure, .fileUnreadable, .fileUnwritable,
    ]
  }
}

extension SigningError.Code {
  // Reading keys.

  /// The file holds no well-formed PEM block, or its base64 is broken.
  public static let malformedPEM = Self(rawValue: "malformed_pem")
  /// The bytes are no well-formed DER of the expected structure.
  public static let malformedDER = Self(rawValue: "malformed_der")
  /// Bytes or blocks follow the key.
  public static let trailingData = Self(rawValue: "trailing_data")
  /// The file holds more than one private key.
  public static let severalKeys = Self(rawValue: "several_keys")
  /// A public key was given where a private one is needed.
  public static let publicKeyGiven = Self(rawValue: "public_key_given")
  /// A private key was given where a public one is needed.
  public static let privateKeyGiven = Self(rawValue: "private_key_given")
  /// A certificate or certificate request was given where a key is needed.
  public static let certificateGiven = Self(rawValue: "certificate_given")
  /// A kind of key this service does not sign with, such as DSA or X25519.
  public static let unsupportedKeyType = Self(rawValue: "unsupported_key_type")
  /// An elliptic curve other than P-256, or one with explicit parameters.
  public static let wrongCurve = Self(rawValue: "wrong_curve")
  /// An RSA modulus that is not 2048, 3072 or 4096 bits long.
  public static let unsupportedKeySize = Self(rawValue: "unsupported_key_size")
  /// The parts of the key contradict each other or are out of range.
  public static let inconsistentKey = Self(rawValue: "inconsistent_key")
  /// The input is longer than any key.
  public static let keyTooLarge = Self(rawValue: "key_too_large")
  /// The key is encrypted and no passphrase was given.
  public static let passphraseRequired = Self(rawValue: "passphrase_required")
  /// The passphrase does not open the key.
  public static let wrongPassphrase = Self(rawValue: "wrong_passphrase")
  /// The key is encrypted in a way this library does not support or that would cost too much to open.
  public static let unsupportedEncryption = Self(rawValue: "unsupported_encryption")

  // Wrapping and sealing.

  /// The key-encryption key file is not in the documented format.
  public static let malformedKeyEncryptionKey = Self(rawValue: "malformed_key_encryption_key")
  /// The key-encryption key file can be read or written by others.
  public static let filePermissions = Self(rawValue: "file_permissions")
  /// A file is already there and is not overwritten.
  public static let fileExists = Self(rawValue: "file_exists")
  /// A wrapped key or sealed message is cut short, too long or of an unknown version.
  public static let malformedCiphertext = Self(rawValue: "malformed_ciphertext")
  /// The key was wrapped by another key-encryption key than the one at hand.
  public static let wrongKeyEncryptionKey = Self(rawValue: "wrong_key_encryption_key")
  /// The ciphertext was altered, or belongs to another recipient, key, algorithm or epoch.
  public static let authenticationFailed = Self(rawValue: "authentication_failed")
  /// A recipient's public key that yields no shared secret, or of the wrong length.
  public static let invalidRecipient = Self(rawValue: "invalid_recipient")

  // The world.

  /// Memory ran out. Retryable.
  public static let resourceExhausted = Self(rawValue: "resource_exhausted")
  /// The cryptographic library failed for a reason that is not in the input.
  public static let libraryFailure = Self(rawValue: "library_failure")
  /// A file cannot be opened or read.
  public static let fileUnreadable = Self(rawValue: "file_unreadable")
  /// A file cannot be made or written.
  public static let fileUnwritable = Self(rawValue: "file_unwritable")
}
