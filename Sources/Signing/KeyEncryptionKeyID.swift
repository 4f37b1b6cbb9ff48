/// Says which key-encryption key wrapped a private key: the first 8 bytes of a keyed hash that the secret cannot be
/// computed from.
public struct KeyEncryptionKeyID: Hashable, Sendable {
  /// The 8 bytes, most significant first.
  public let rawValue: UInt64

  /// Length of the id in bytes.
  public static let byteCount = 8

  /// An id that was stored.
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  init(digest: borrowing SecretBytes) {
    rawValue = digest.withBytes { bytes in (0..<Self.byteCount).reduce(0) { $0 << 8 | UInt64(bytes[$1]) } }
  }

  var bytes: [UInt8] { withUnsafeBytes(of: rawValue.bigEndian) { Array($0) } }
}

extension KeyEncryptionKeyID: CustomStringConvertible {
  /// 16 hexadecimal digits.
  public var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 2 * Self.byteCount - digits.count) + digits
  }
}
