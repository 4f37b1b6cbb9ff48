/// A store could not do what was asked.
public struct StorageError: Error, Sendable, Hashable {
  /// What kind of failure.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code as logs show it.
    public let rawValue: String

    /// Wraps a code.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// What was named does not exist.
    public static let notFound = Code(rawValue: "not_found")
    /// What was to be made exists with other content.
    public static let conflict = Code(rawValue: "conflict")
    /// The state does not allow it.
    public static let wrongState = Code(rawValue: "wrong_state")
    /// The store cannot be reached, or lost a race that a retry may win: nothing was changed.
    public static let unavailable = Code(rawValue: "unavailable")
    /// The connection was lost while a change was under way: it may or may not have been made. To be resolved by looking.
    public static let outcomeUnknown = Code(rawValue: "outcome_unknown")
    /// The task was cancelled: nothing was changed.
    public static let cancelled = Code(rawValue: "cancelled")
    /// The role of this service lacks a right: an operator must grant it.
    public static let accessDenied = Code(rawValue: "access_denied")
    /// The schema is not the one that this program needs.
    public static let schemaMismatch = Code(rawValue: "schema_mismatch")
    /// The store said something that cannot be.
    public static let corrupt = Code(rawValue: "corrupt")
  }

  /// What kind of failure.
  public var code: Code
  /// What was wrong, with the value and the remedy. Never a secret.
  public var message: String

  /// Makes an error.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// Whether the same call may succeed if repeated unchanged after a pause.
  public var isRetryable: Bool { code == .unavailable }
}

extension StorageError: CustomStringConvertible {
  /// `code: message`.
  public var description: String { "\(code.rawValue): \(message)" }
}
