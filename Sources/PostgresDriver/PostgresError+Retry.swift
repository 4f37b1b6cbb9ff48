extension PostgresError {
  /// Whether the same transaction may succeed if it is run again from its beginning.
  ///
  /// True for conflicts between transactions (class 40, lock not available), a server that restarts, is read-only after a
  /// failover or has no resources left (classes 08, 53, 57P01–57P05), a lost or failed connection and an exhausted
  /// pool. False for everything that would fail again, for what the caller has ended itself, and always while
  /// ``isOutcomeUnknown``: then it must first be found out what became of the transaction.
  public var isRetryable: Bool {
    if isOutcomeUnknown { return false }
    switch code {
    case .connectionLost, .poolExhausted, .resourceExhausted: return true
    case .connectionFailed: return sqlState?.isTransient ?? true
    case .server, .aborted: return sqlState?.isTransient ?? false
    default: return false
    }
  }
}

extension SQLState {
  /// Whether the condition may pass without anybody changing the statement, the data or the configuration.
  public var isTransient: Bool {
    switch self {
    case .lockNotAvailable, .adminShutdown, .crashShutdown, .cannotConnectNow, .readOnlyTransaction,
      SQLState(rawValue: "57P05"), SQLState(rawValue: "55006"):
      true
    default:
      errorClass == "08" || errorClass == "40" && rawValue != "40002" || errorClass == "53"
    }
  }

  /// What an operator should do about it, where the server's own message does not say.
  var remedy: String? {
    switch self {
    case .tooManyConnections: "lower the pool size or raise max_connections"
    case .cannotConnectNow: "the server is starting or stopping: try again"
    case .invalidPassword, SQLState(rawValue: "28000"): "check user, password and pg_hba.conf"
    case SQLState(rawValue: "3D000"): "create the database or correct its name"
    case SQLState(rawValue: "42501"): "grant the privilege to this service's role"
    case SQLState(rawValue: "53100"): "free disk space on the server"
    case .readOnlyTransaction: "connect to the primary"
    case .undefinedTable: "run the migrations"
    case .queryCanceled: "raise statement_timeout if the server's own limit ended it"
    default: nil
    }
  }
}
