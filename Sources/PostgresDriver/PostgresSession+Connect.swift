internal import CPostgres
internal import DedicatedThreads
import Glibc
import Synchronization

extension PostgresSession {
  /// Connects and authenticates, within the configured timeout and the operation's deadline.
  ///
  /// - Throws: `connectionFailed`, `cancelled`, `deadlineExceeded`.
  func connect(_ operation: Operation) throws(PostgresError) {
    precondition(handle == nil, "a session connects once")
    if let cause = operation.dueCause { throw operation.interrupted(cause) }
    let timeout = ContinuousClock.now + configuration.connectTimeout
    guard let connection = startConnecting() else {
      throw PostgresError(.resourceExhausted, "no memory for a connection to \(configuration)")
    }
    do {
      try finishConnecting(connection, operation, timeout: timeout)
    } catch {
      PQfinish(connection)
      throw error
    }
    handle = connection
    status.descriptor.store(PQsocket(connection), ordering: .relaxed)
    publishStatus()
  }

  private func startConnecting() -> OpaquePointer? {
    var keywords: [UnsafeMutablePointer<CChar>?] = []
    var values: [UnsafeMutablePointer<CChar>?] = []
    for (keyword, value) in configuration.parameters {
      keywords.append(strdup(keyword))
      values.append(strdup(value))
    }
    keywords.append(nil)
    values.append(nil)
    defer {
      for pointer in keywords { free(pointer) }
      for pointer in values {
        // One of them is the password.
        if let pointer { explicit_bzero(pointer, strlen(pointer)) }
        free(pointer)
      }
    }
    return keywords.withUnsafeBufferPointer { keywords in
      values.withUnsafeBufferPointer { values in
        keywords.withMemoryRebound(to: UnsafePointer<CChar>?.self) { keywords in
          values.withMemoryRebound(to: UnsafePointer<CChar>?.self) { values in
            PQconnectStartParams(keywords.baseAddress, values.baseAddress, 0)
          }
        }
      }
    }
  }

  private func finishConnecting(
    _ connection: OpaquePointer, _ operation: Operation, timeout: ContinuousClock.Instant
  ) throws(PostgresError) {
    notices.attach(to: connection)
    // Verbose messages hold the SQLSTATE, which libpq gives in no other way for a failed connection.
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE)
    // "If PQconnectPoll has not been called yet, behave as if it had last returned PGRES_POLLING_WRITING."
    var progress = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
    while progress != PGRES_POLLING_OK {
      if progress == PGRES_POLLING_FAILED { throw connectionFailure(connection) }
      let limit = min(timeout, operation.deadline ?? timeout)
      let events: DedicatedThread.Events = progress == PGRES_POLLING_READING ? .readable : .writable
      let outcome = thread.wait(for: PQsocket(connection), events, until: limit)
      if let cause = operation.dueCause { throw operation.interrupted(cause) }
      switch outcome {
      case .ready: progress = PQconnectPoll(connection)
      case .woken: continue
      case .timedOut:
        throw PostgresError(
          .connectionFailed,
          "cannot connect to \(configuration) within \(configuration.connectTimeout): "
            + "check that the server runs and is not overloaded")
      }
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT)
    guard PQsetnonblocking(connection, 1) == 0 else { throw connectionFailure(connection) }
  }

  private func connectionFailure(_ connection: OpaquePointer) -> PostgresError {
    if PQconnectionNeedsPassword(connection) == 1 {
      return PostgresError(
        code: .connectionFailed,
        message: "cannot connect to \(configuration): the server wants a password; put one into the connection string",
        sqlState: .invalidPassword)
    }
    return PostgresError(
      connectionFailure: String(cString: PQerrorMessage(connection)), target: configuration.description)
  }
}
