/// Why something could not be done with Redis. The message names what was attempted and what to do; it never holds a
/// password or an argument of the command.
public struct RedisError: Error, Sendable, CustomStringConvertible {
  /// The kind of an error. More kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// A stable name.
    public let rawValue: String

    /// A code by its name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The name.
    public var description: String { rawValue }

    /// The URL or an option is not valid.
    public static let invalidConfiguration = Code(rawValue: "invalidConfiguration")
    /// No connection could be made.
    public static let connectionFailed = Code(rawValue: "connectionFailed")
    /// The connection ended before anything was sent, or the caller has marked what was sent as idempotent.
    public static let connectionLost = Code(rawValue: "connectionLost")
    /// The connection ended after the command had been sent and before the answer came: it may have taken effect or not.
    public static let outcomeUnknown = Code(rawValue: "outcomeUnknown")
    /// The calling task was cancelled. ``RedisError/isOutcomeUnknown`` tells whether the command had been sent.
    public static let cancelled = Code(rawValue: "cancelled")
    /// The deadline or the command timeout has passed. ``RedisError/isOutcomeUnknown`` tells whether the command had been
    /// sent.
    public static let deadlineExceeded = Code(rawValue: "deadlineExceeded")
    /// The pool had no connection to give.
    public static let poolExhausted = Code(rawValue: "poolExhausted")
    /// The pool or the connection has been closed by its owner.
    public static let closed = Code(rawValue: "closed")
    /// The server refused the command for a reason that has no code of its own; ``RedisError/serverCode`` has its first
    /// word.
    public static let server = Code(rawValue: "server")
    /// READONLY: the server is a replica, as after a failover.
    public static let readOnly = Code(rawValue: "readOnly")
    /// LOADING: the server is starting and reads its data.
    public static let loading = Code(rawValue: "loading")
    /// MASTERDOWN: the server is a replica that has lost its master.
    public static let masterDown = Code(rawValue: "masterDown")
    /// OOM: the server has reached its memory limit.
    public static let outOfMemory = Code(rawValue: "outOfMemory")
    /// NOAUTH or WRONGPASS: the password or user is missing or wrong.
    public static let authenticationFailed = Code(rawValue: "authenticationFailed")
    /// NOPERM: the user may not run the command or touch the key.
    public static let permissionDenied = Code(rawValue: "permissionDenied")
    /// BUSY: a script keeps the server from answering.
    public static let busy = Code(rawValue: "busy")
    /// NOSCRIPT: the server does not know the script, even after it was loaded.
    public static let noScript = Code(rawValue: "noScript")
    /// MISCONF: the server cannot write to its disk and so refuses changes.
    public static let persistenceFailed = Code(rawValue: "persistenceFailed")
    /// An answer is not what was asked for.
    public static let decoding = Code(rawValue: "decoding")
    /// The server did something that the protocol does not allow; the connection is closed.
    public static let protocolViolation = Code(rawValue: "protocolViolation")
    /// The process or the system ran out of memory, threads or descriptors.
    public static let resourceExhausted = Code(rawValue: "resourceExhausted")
  }

  /// What kind of error this is.
  public let code: Code
  /// What happened, and what to do.
  public let message: String
  /// The first word of the server's own message, such as `WRONGTYPE`, if the server reported the error.
  public let serverCode: String?
  /// Whether what was attempted may have taken effect nevertheless.
  public let isOutcomeUnknown: Bool

  /// An error.
  public init(_ code: Code, _ message: String, serverCode: String? = nil, isOutcomeUnknown: Bool = false) {
    self.code = code
    self.message = message
    self.serverCode = serverCode
    self.isOutcomeUnknown = isOutcomeUnknown || code == .outcomeUnknown
  }

  /// Code and message.
  public var description: String { "redis \(code): \(message)" }

  /// Whether the same command may succeed if it is sent again, and cannot have taken effect before.
  public var isRetryable: Bool {
    if isOutcomeUnknown { return false }
    switch code {
    case .connectionFailed, .connectionLost, .poolExhausted, .readOnly, .loading, .masterDown, .outOfMemory, .busy,
      .persistenceFailed, .resourceExhausted:
      return true
    default: return false
    }
  }
}

extension RedisError {
  /// The error that the server answered with: a word in capitals and a text.
  init(reply: String, to what: String) {
    let word = reply.prefix { $0 != " " }
    let (code, remedy): (Code, String?) =
      switch word {
      case "READONLY": (.readOnly, "the server is a replica: connect to the master")
      case "LOADING": (.loading, "the server is starting: try again")
      case "MASTERDOWN": (.masterDown, "the replica has lost its master: wait for the failover")
      case "OOM": (.outOfMemory, "raise maxmemory or set an eviction policy")
      case "NOAUTH", "WRONGPASS": (.authenticationFailed, "check user and password in the Redis URL")
      case "NOPERM": (.permissionDenied, "grant the permission with ACL SETUSER")
      case "BUSY": (.busy, "a script has been running for too long: try again, or end it with SCRIPT KILL")
      case "NOSCRIPT": (.noScript, "something flushes scripts: try again")
      case "MISCONF": (.persistenceFailed, "see the server's log for why it cannot save")
      default: (.server, nil)
      }
    // What servers before version 6 say instead of WRONGPASS.
    let isOldPasswordError = reply.hasPrefix("ERR invalid password") || reply.contains("AUTH <password> called without")
    self.init(
      isOldPasswordError ? .authenticationFailed : code, "\(what): \(reply)\(remedy.map { "; \($0)" } ?? "")",
      serverCode: String(word))
  }
}
