internal import CPostgres

extension PostgresSession {
  /// Runs a statement, preparing it first if the session does not know it.
  func query(
    _ statement: PostgresStatement, _ values: [PostgresValue], _ operation: inout Operation
  ) throws(PostgresError) -> PostgresResult {
    let connection = try begin(operation)
    do {
      return try queryOnce(connection, statement, values, &operation)
    } catch {
      // Within a transaction block, which has failed by this, only the next run prepares the statement anew.
      guard statements.refresh(statement, after: error), handle != nil, operation.cause == nil,
        PQtransactionStatus(connection) == PQTRANS_IDLE
      else { throw error }
      return try queryOnce(connection, statement, values, &operation)
    }
  }

  /// Runs one or more statements without parameters, as a migration or BEGIN does.
  func execute(_ script: String, _ operation: inout Operation) throws(PostgresError) -> PostgresResult {
    let connection = try begin(operation)
    guard !script.utf8.contains(0) else {
      throw PostgresError(.invalidParameter, "\(operation.what): the SQL text holds a NUL character")
    }
    try sent(PQsendQuery(connection, script), connection, operation)
    return try collect(connection, &operation)
  }

  private func queryOnce(
    _ connection: OpaquePointer, _ statement: PostgresStatement, _ values: [PostgresValue],
    _ operation: inout Operation
  ) throws(PostgresError) -> PostgresResult {
    if statement.isPrepared {
      let types = try prepare(statement, connection, &operation)
      operation.isAtRisk = !statement.isReadOnly && isAtRisk(connection)
      let status = try send(statement, values, types: types, connection)
      try sent(status, connection, operation)
    } else {
      precondition(values.isEmpty, "a statement that is not prepared has no parameters")
      operation.isAtRisk = !statement.isReadOnly && isAtRisk(connection)
      try sent(PQsendQueryParams(connection, statement.sql, 0, nil, nil, nil, nil, 1), connection, operation)
    }
    return try collect(connection, &operation)
  }

  /// Hands a prepared statement with its parameters to libpq. Returns 1, or 0 if libpq refused it.
  func send(
    _ statement: PostgresStatement, _ values: [PostgresValue], types: [PostgresType], _ connection: OpaquePointer
  ) throws(PostgresError) -> Int32 {
    try encoder.withEncoded(values, types: types, for: statement) { pointers, lengths, formats in
      PQsendQueryPrepared(connection, statement.name, Int32(values.count), pointers, lengths, formats, 1)
    }
  }

  /// Checks that libpq took what was to be sent; closes the connection otherwise.
  func sent(_ status: Int32, _ connection: OpaquePointer, _ operation: Operation) throws(PostgresError) {
    if status == 1 { return }
    // Nothing of it has left libpq, so that nothing is at risk.
    let error = PostgresError(
      .connectionLost,
      "\(operation.what): the statement could not be sent (\(PostgresError.firstLine(PQerrorMessage(connection))))")
    close()
    throw error
  }

  /// Prepares the statement if the session does not know it, in one round trip, and returns the types of its parameters.
  func prepare(
    _ statement: PostgresStatement, _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) -> [PostgresType] {
    if let types = statements.parameterTypes(of: statement) { return types }
    guard !statement.sql.utf8.contains(0) else {
      throw PostgresError(.invalidParameter, "\(statement): the SQL text holds a NUL character")
    }
    if let evicted = statements.evicted(for: statement) {
      statements.remove(key: evicted)
      try sent(PQsendQuery(connection, "DEALLOCATE " + PostgresStatement.name(of: evicted)), connection, operation)
      _ = try collect(connection, &operation)
    }
    try sent(PQenterPipelineMode(connection), connection, operation)
    try sent(PQsendPrepare(connection, statement.name, statement.sql, 0, nil), connection, operation)
    try sent(PQsendDescribePrepared(connection, statement.name), connection, operation)
    try sent(PQpipelineSync(connection), connection, operation)

    var failure: PostgresError?
    var types: [PostgresType] = []
    try readPipeline(connection, &operation, syncs: 1) { result, operation in
      // The first result is that of preparing and says nothing of parameters, the second describes them.
      types = (0..<PQnparams(result)).map { PostgresType(rawValue: PQparamtype(result, $0)) }
      if case .failure(let error) = outcome(of: result, connection, operation), failure == nil { failure = error }
    }
    try leavePipeline(connection, operation)
    if failure != nil || operation.cause != nil { settle(&operation) }
    publishStatus()
    if let failure { throw failure }
    guard handle != nil else { throw operation.lost("while the statement was prepared") }
    statements.insert(statement, parameterTypes: types)
    // Prepared before the interruption took effect: the statement itself must not begin.
    if let cause = operation.cause { throw operation.interrupted(cause) }
    return types
  }
}
