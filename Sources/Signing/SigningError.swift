/// Why a key, a signature or a sealed message could not be made, read or used.
///
/// Messages name the offending value and the remedy. They never contain key material, payloads or passphrases.
public struct SigningError: Error, Sendable {
  /// What went wrong, for programs.
  public let code: Code

  /// What went wrong and what to do about it, for people.
  public let message: String

  /// The cryptographic library's own reasons, oldest first; at most ``maximumReasons``. They hold no secrets.
  public let reasons: [String]

  /// The failure below this one, if there is one.
  public let cause: (any Error)?

  /// How many of the library's reasons are kept.
  public static let maximumReasons = 8

  /// Describes a failure.
  public init(_ code: Code, _ message: String, reasons: [String] = [], cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.reasons = reasons
    self.cause = cause
  }

  /// Whether the caller gave something wrong or the world failed.
  public var kind: Kind { code.kind }

  /// Whether the same call may succeed later, unchanged.
  public var isRetryable: Bool { code == .resourceExhausted }

  /// Who has to act.
  public enum Kind: Sendable, Hashable {
    /// The input is wrong; the message says how.
    case caller
    /// The operating system or the cryptographic library refused.
    case world
  }
}

extension SigningError: CustomStringConvertible {
  /// Code, message, the library's reasons and the cause, on one line.
  public var description: String {
    var text = "\(code): \(message)"
    if !reasons.isEmpty { text += " (\(reasons.joined(separator: "; ")))" }
    if let cause { text += ": \(cause)" }
    return text
  }
}
