/// Why something could not be done with PostgreSQL.
///
/// The message names what was attempted and what to do. It never holds a password, nor the server's DETAIL, which may
/// quote whole rows.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error. More kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// A stable name.
    public let rawValue: String

    /// A code by its name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The name.
    public var description: String { rawValue }

    /// The connection string or an option is not valid.
    public static let invalidConfiguration = Code(rawValue: "invalidConfiguration")
    /// No connection could be made. ``PostgresError/sqlState`` is set if the server answered.
    public static let connectionFailed = Code(rawValue: "connectionFailed")
    /// The connection ended. Nothing that was under way has been committed.
    public static let connectionLost = Code(rawValue: "connectionLost")
    /// The connection ended after COMMIT, or a statement outside a transaction block, had been sent and before the
    /// answer came: it may have taken effect or not. Find out before doing it again.
    public static let commitOutcomeUnknown = Code(rawValue: "commitOutcomeUnknown")
    /// The calling task was cancelled.
    public static let cancelled = Code(rawValue: "cancelled")
    /// The caller's deadline has passed.
    public static let deadlineExceeded = Code(rawValue: "deadlineExceeded")
    /// The pool had no connection to give.
    public static let poolExhausted = Code(rawValue: "poolExhausted")
    /// The pool or the connection has been closed by its owner.
    public static let closed = Code(rawValue: "closed")
    /// The server refused the statement; ``PostgresError/sqlState`` says why.
    public static let server = Code(rawValue: "server")
    /// Another statement of the same atomic pipeline or transaction failed, so this one had no effect.
    public static let aborted = Code(rawValue: "aborted")
    /// A parameter does not fit its statement; nothing was sent.
    public static let invalidParameter = Code(rawValue: "invalidParameter")
    /// A value of a result is not what was asked for.
    public static let decoding = Code(rawValue: "decoding")
    /// The connection was used in a way that its state does not allow, such as a query within a COPY.
    public static let misuse = Code(rawValue: "misuse")
    /// The server or libpq did something that the protocol does not allow; the connection is closed.
    public static let protocolViolation = Code(rawValue: "protocolViolation")
    /// The process or the system ran out of memory, threads or descriptors.
    public static let resourceExhausted = Code(rawValue: "resourceExhausted")
  }

  /// What kind of error this is.
  public let code: Code
  /// What happened, and what to do.
  public let message: String
  /// The server's code, if the server reported the error.
  public let sqlState: SQLState?
  /// The constraint that was violated.
  public let constraint: String?
  /// The schema of the table that the error is about.
  public let schema: String?
  /// The table that the error is about.
  public let table: String?
  /// The column that the error is about.
  public let column: String?
  /// Whether what was attempted may have taken effect nevertheless.
  ///
  /// Always true for ``Code/commitOutcomeUnknown``; for ``Code/cancelled`` and ``Code/deadlineExceeded`` it tells whether
  /// the connection had to be closed before the server confirmed that it had stopped.
  public let isOutcomeUnknown: Bool

  /// An error that did not come from the server.
  public init(_ code: Code, _ message: String, isOutcomeUnknown: Bool = false) {
    self.init(
      code: code, message: message, sqlState: nil, constraint: nil, schema: nil, table: nil, column: nil,
      isOutcomeUnknown: isOutcomeUnknown || code == .commitOutcomeUnknown)
  }

  init(
    code: Code, message: String, sqlState: SQLState?, constraint: String? = nil, schema: String? = nil,
    table: String? = nil, column: String? = nil, isOutcomeUnknown: Bool = false
  ) {
    self.code = code
    self.message = message
    self.sqlState = sqlState
    self.constraint = constraint
    self.schema = schema
    self.table = table
    self.column = column
    self.isOutcomeUnknown = isOutcomeUnknown
  }

  /// Code, server code and message.
  public var description: String {
    "postgres \(code)\(sqlState.map { " \($0)" } ?? ""): \(message)"
  }
}
