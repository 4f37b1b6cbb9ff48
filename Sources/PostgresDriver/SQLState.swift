/// The five characters by which PostgreSQL names an error; see "PostgreSQL Error Codes" in its manual, appendix A.
public struct SQLState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The code, such as `23505`.
  public let rawValue: String

  /// A code by its five characters.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// The code.
  public var description: String { rawValue }

  /// The first two characters: the class of the error.
  public var errorClass: Substring { rawValue.prefix(2) }

  /// A row with this key exists already.
  public static let uniqueViolation = SQLState(rawValue: "23505")
  /// A row that is referred to does not exist, or is still referred to.
  public static let foreignKeyViolation = SQLState(rawValue: "23503")
  /// A check constraint does not hold.
  public static let checkViolation = SQLState(rawValue: "23514")
  /// A column that must have a value has none.
  public static let notNullViolation = SQLState(rawValue: "23502")
  /// The transaction conflicts with another: run it again.
  public static let serializationFailure = SQLState(rawValue: "40001")
  /// The transaction was chosen to resolve a deadlock: run it again.
  public static let deadlockDetected = SQLState(rawValue: "40P01")
  /// A lock was not to be had at once or in time.
  public static let lockNotAvailable = SQLState(rawValue: "55P03")
  /// The server has no connection left.
  public static let tooManyConnections = SQLState(rawValue: "53300")
  /// The server shuts down, or an administrator ended the session.
  public static let adminShutdown = SQLState(rawValue: "57P01")
  /// The server crashed.
  public static let crashShutdown = SQLState(rawValue: "57P02")
  /// The server is starting or stopping.
  public static let cannotConnectNow = SQLState(rawValue: "57P03")
  /// The statement was cancelled, by a request or by a timeout of the server.
  public static let queryCanceled = SQLState(rawValue: "57014")
  /// The server is read-only, as a replica is.
  public static let readOnlyTransaction = SQLState(rawValue: "25006")
  /// An earlier statement of the transaction failed.
  public static let inFailedTransaction = SQLState(rawValue: "25P02")
  /// The password is wrong.
  public static let invalidPassword = SQLState(rawValue: "28P01")
  /// The table does not exist.
  public static let undefinedTable = SQLState(rawValue: "42P01")
  /// The prepared statement does not exist in this session.
  public static let undefinedPreparedStatement = SQLState(rawValue: "26000")
  /// Among others: the result type of a prepared statement has changed.
  public static let featureNotSupported = SQLState(rawValue: "0A000")
}
