internal import CPostgres
internal import DedicatedThreads

extension PostgresSession {
  /// The next result of what was sent, or nil at its end. The caller owns it.
  ///
  /// - Throws: only if the connection had to be closed (see ``Operation/Interruption``).
  func nextResult(
    _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) -> OpaquePointer? {
    while PQisBusy(connection) == 1 { try awaitProgress(.input, connection, &operation) }
    return PQgetResult(connection)
  }

  enum Progress {
    /// The server has sent something.
    case input
    /// The kernel has taken what libpq held in its buffer. There may be no input for a long time then.
    case flushed
  }

  /// Sends what libpq holds in its buffer, takes what the server has sent, and waits for the progress that is wanted.
  ///
  /// Handles interruption on the way. A connection that has ended is not an error here: libpq then has a result that says
  /// so, perhaps after one in which the server gives the reason.
  func awaitProgress(
    _ wanted: Progress, _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) {
    while true {
      try interruptIfDue(connection, &operation)
      var events = DedicatedThread.Events.readable
      if PQflush(connection) == 1 {
        events.insert(.writable)
      } else if wanted == .flushed {
        return
      }
      if PQstatus(connection) != CONNECTION_OK { return }
      switch thread.wait(for: PQsocket(connection), events, until: operation.limit) {
      case .ready:
        if PQconsumeInput(connection) == 1 {
          if wanted == .input { return }
          continue
        }
        if PQstatus(connection) != CONNECTION_OK { return }
        // libpq cannot go on though the connection stands: it has no memory for the message.
        let error = operation.lost(PostgresError.firstLine(PQerrorMessage(connection)))
        close()
        throw error
      case .woken, .timedOut:
        continue
      }
    }
  }

  /// Begins an interruption that is due, and ends one whose grace is over.
  private func interruptIfDue(
    _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) {
    if let cause = operation.cause {
      if let graceEnd = operation.graceEnd, graceEnd <= .now { throw abandon(operation, cause) }
      return
    }
    guard let cause = operation.dueCause else { return }
    switch operation.interruption {
    case .leavesExchange: throw operation.interrupted(cause)
    case .closesConnection: throw abandon(operation, cause)
    case .cancelsStatement: try startCancelling(connection, &operation, cause)
    }
  }

  /// Asks the server to stop the statement.
  func startCancelling(
    _ connection: OpaquePointer, _ operation: inout Operation, _ cause: Operation.Cause
  ) throws(PostgresError) {
    operation.cause = cause
    operation.warningsBefore = notices.warnings
    operation.graceEnd = .now + configuration.cancelGrace
    operation.cancelRequest = CancelRequest.start(for: connection, waking: thread)
    if operation.cancelRequest == nil { throw abandon(operation, cause) }
  }

  /// Waits until a cancel request that was sent can no longer hit the next statement; closes the connection otherwise.
  func settle(_ operation: inout Operation) {
    guard let request = operation.cancelRequest, let graceEnd = operation.graceEnd else { return }
    while !request.isDone {
      if graceEnd <= .now { return close() }
      _ = thread.wait(for: nil, [], until: graceEnd)
    }
    operation.cancelRequest = nil
  }

  private func abandon(_ operation: Operation, _ cause: Operation.Cause) -> PostgresError {
    close()
    if operation.interruption == .closesConnection && operation.isAtRisk {
      return operation.lost("it was closed since no answer came in time")
    }
    return operation.interrupted(cause, isOutcomeUnknown: operation.isAtRisk)
  }

  /// What a result means for the exchange. Takes the result over.
  func outcome(
    of result: OpaquePointer, _ connection: OpaquePointer, _ operation: Operation
  ) -> Result<PostgresResult, PostgresError> {
    switch PQresultStatus(result) {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
      // A cancelled wait for a synchronous replica ends in success with a warning: committed, but not replicated.
      if operation.cause != nil, operation.isAtRisk, notices.warnings > operation.warningsBefore {
        PQclear(result)
        return .failure(
          PostgresError(
            .commitOutcomeUnknown,
            "\(operation.what): it was committed but perhaps not replicated when it was cancelled; "
              + "find out whether it took effect"))
      }
      return .success(PostgresResult(taking: result))
    case PGRES_PIPELINE_ABORTED:
      PQclear(result)
      return .failure(
        PostgresError(.aborted, "\(operation.what): not run, since an earlier statement of the pipeline failed"))
    case PGRES_FATAL_ERROR:
      defer { PQclear(result) }
      let error = PostgresError(result: result, during: operation.what)
      guard let sqlState = error.sqlState else {
        return .failure(operation.lost(PostgresError.firstLine(PQresultErrorMessage(result))))
      }
      if sqlState == .queryCanceled, let cause = operation.cause { return .failure(operation.interrupted(cause)) }
      return .failure(error)
    case let other:
      let name = String(cString: PQresStatus(other))
      PQclear(result)
      close()
      return .failure(
        PostgresError(
          .misuse, "\(operation.what): the statement answers with \(name): use copyIn or copyOut for COPY",
          isOutcomeUnknown: operation.isAtRisk))
    }
  }

  /// Reads all results of one statement or script: the first failure, or else the last success.
  func collect(
    _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) -> PostgresResult {
    var final: Result<PostgresResult, PostgresError>?
    while let result = try nextResult(connection, &operation) {
      let outcome = outcome(of: result, connection, operation)
      if case .failure = final {} else { final = outcome }
      // Closed by the outcome: the handle is no longer valid.
      if handle == nil { break }
    }
    settle(&operation)
    publishStatus()
    guard let final else {
      close()
      throw PostgresError(.protocolViolation, "\(operation.what): libpq gave no result; the connection is closed")
    }
    return try final.get()
  }
}
