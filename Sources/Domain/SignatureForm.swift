/// What is signed of a record: a job names a form, and all its signatures have it.
public enum SignatureForm: String, CaseIterable, Sendable, Hashable {
  /// The payload bytes and nothing else, so that the `openssl` program alone can check it. The default.
  case raw
  /// The signing input of a JWS (RFC 7515) with an unencoded payload (RFC 7797): the protected header, a full stop, and the
  /// payload bytes.
  case jws

  /// What a job gets when nothing is said.
  public static let `default` = SignatureForm.raw

  /// A stable number for storage and for what is hashed. Numbers are never reused.
  public var storageCode: UInt8 {
    switch self {
    case .raw: 1
    case .jws: 2
    }
  }

  /// The form of a ``storageCode``, or nil if this version knows none with that number.
  public init?(storageCode: UInt8) {
    guard let match = Self.allCases.first(where: { $0.storageCode == storageCode }) else { return nil }
    self = match
  }
}

extension SignatureForm: CustomStringConvertible {
  /// The name used in SQL, in files and on the command line.
  public var description: String { rawValue }
}
