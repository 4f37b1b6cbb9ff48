internal import DedicatedThreads

/// One exchange with the server: what limits it, and what to do when it is interrupted.
struct Operation {
  enum Cause { case cancelled, deadline }

  /// What an interruption does to an exchange that is under way.
  enum Interruption {
    /// Asks the server to stop, and closes the connection if it does not within the grace.
    case cancelsStatement
    /// Closes the connection at once: for what must not be cancelled, such as COMMIT.
    case closesConnection
    /// Throws and leaves the exchange as it is, for the caller to end in another way.
    case leavesExchange
  }

  private let verb: StaticString
  private var statement: PostgresStatement?
  let deadline: ContinuousClock.Instant?
  /// Nil if the task's cancellation does not interrupt the exchange.
  let flag: InterruptFlag?
  let interruption: Interruption
  /// Whether the exchange may take effect without the answer being seen, if the connection ends now.
  var isAtRisk = false

  /// Why the exchange was interrupted, once it was.
  var cause: Cause?
  var cancelRequest: CancelRequest?
  /// When the interrupted exchange is given up.
  var graceEnd: ContinuousClock.Instant?
  /// How many warnings the server had sent when the exchange was interrupted.
  var warningsBefore = 0

  init(
    _ verb: StaticString, statement: PostgresStatement? = nil, deadline: ContinuousClock.Instant?,
    flag: InterruptFlag?, interruption: Interruption = .cancelsStatement
  ) {
    self.verb = verb
    self.statement = statement
    self.deadline = deadline
    self.flag = flag
    self.interruption = interruption
  }

  /// The same exchange, with messages that name this statement.
  func about(_ statement: PostgresStatement) -> Operation {
    var copy = self
    copy.statement = statement
    return copy
  }

  /// What is under way, for messages.
  var what: String { statement?.description ?? "\(verb)" }

  /// When a wait must end at the latest.
  var limit: ContinuousClock.Instant? { cause == nil ? deadline : graceEnd }

  /// Why the exchange has to be interrupted now, if it has.
  var dueCause: Cause? {
    if let flag, flag.isRaised { return .cancelled }
    if let deadline, deadline <= .now { return .deadline }
    return nil
  }

  /// The error of an exchange that was stopped for this cause.
  func interrupted(_ cause: Cause, isOutcomeUnknown: Bool = false) -> PostgresError {
    let ending = isOutcomeUnknown ? "; whether it took effect is unknown" : ""
    switch cause {
    case .cancelled:
      return PostgresError(.cancelled, "\(what): the task was cancelled\(ending)", isOutcomeUnknown: isOutcomeUnknown)
    case .deadline:
      return PostgresError(
        .deadlineExceeded, "\(what): not done by the deadline\(ending)", isOutcomeUnknown: isOutcomeUnknown)
    }
  }

  /// The error of an exchange whose connection has ended.
  func lost(_ reason: String) -> PostgresError {
    isAtRisk
      ? PostgresError(
        .commitOutcomeUnknown,
        "\(what): the connection was lost before the answer came (\(reason)); find out whether it took effect")
      : PostgresError(.connectionLost, "\(what): the connection was lost (\(reason)); nothing of it took effect")
  }
}
