import PostgresDriver
import Storage

// The one place where what Postgres says becomes what a store says.
extension StorageError {
  init(_ error: PostgresError) {
    self.init(Self.code(of: error), error.message)
  }

  /// Whatever was thrown while statements ran.
  init(from error: any Error) {
    switch error {
    case let error as StorageError: self = error
    case let error as PostgresError: self.init(error)
    case is CancellationError: self.init(.cancelled, "the task was cancelled; nothing was changed")
    default: self.init(.corrupt, "\(error)")
    }
  }

  private static func code(of error: PostgresError) -> Code {
    if error.isOutcomeUnknown { return .outcomeUnknown }
    switch error.code {
    case .cancelled: return .cancelled
    case .server, .aborted: return error.sqlState.map { code(of: $0) } ?? .unavailable
    // Whatever keeps a connection from being made: an operator can mend it while the service runs.
    case .connectionFailed, .connectionLost, .poolExhausted, .resourceExhausted, .deadlineExceeded, .closed:
      return .unavailable
    default: return .corrupt
    }
  }

  private static func code(of state: SQLState) -> Code {
    if state.isTransient { return .unavailable }
    switch state {
    case .queryCanceled: return .unavailable
    case .uniqueViolation: return .conflict
    case .insufficientPrivilege: return .accessDenied
    // A relation, column, function or schema that should be there.
    case .undefinedTable, SQLState(rawValue: "42703"), SQLState(rawValue: "42883"), SQLState(rawValue: "3F000"):
      return .schemaMismatch
    default: return .corrupt
    }
  }
}

extension PostgresError {
  /// Whether the transaction lost against another and had no effect: a serialization failure or a deadlock.
  var hasLostRace: Bool {
    !isOutcomeUnknown && (sqlState == .serializationFailure || sqlState == .deadlockDetected)
  }
}

extension SQLState {
  static let insufficientPrivilege = SQLState(rawValue: "42501")
  static let undefinedSchema = SQLState(rawValue: "3F000")
}
