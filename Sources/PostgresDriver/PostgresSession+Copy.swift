internal import CPostgres
internal import DedicatedThreads

extension PostgresSession {
  /// libpq sends data of COPY in pieces of this size, so that its buffer, which it never shrinks, stays small.
  private static let copyPiece = 64 << 10

  /// Starts `COPY … FROM STDIN`.
  func beginCopyIn(_ sql: String, _ operation: inout Operation) throws(PostgresError) {
    let connection = try begin(operation)
    let isAtRisk = isAtRisk(connection)
    try beginCopy(sql, PGRES_COPY_IN, connection, &operation)
    activity = .copyIn(isAtRisk: isAtRisk)
    publishStatus()
    // It began before the interruption took effect.
    if let cause = operation.cause {
      try failCopyIn("interrupted", &operation)
      throw operation.interrupted(cause)
    }
  }

  /// Sends data of COPY. Returns once the kernel has taken all of it.
  ///
  /// If interrupted it throws and the COPY is still under way: then ``failCopyIn(_:_:)`` ends it.
  func writeCopy(_ bytes: [UInt8], _ operation: inout Operation) throws(PostgresError) {
    guard case .copyIn = activity, let connection = handle else { throw copyMisuse("COPY FROM STDIN") }
    var offset = 0
    while offset < bytes.count {
      let end = min(offset + Self.copyPiece, bytes.count)
      try putCopy(connection, &operation) {
        bytes.withUnsafeBytes { all in
          let piece = all[offset..<end]
          return PQputCopyData(
            connection, all.baseAddress?.advanced(by: offset).assumingMemoryBound(to: CChar.self), Int32(piece.count))
        }
      }
      try awaitProgress(.flushed, connection, &operation)
      offset = end
    }
    if PQstatus(connection) != CONNECTION_OK {
      // Nothing can have been committed, for the end of the data has not been sent.
      let error = operation.lost(PostgresError.firstLine(PQerrorMessage(connection)))
      close()
      throw error
    }
  }

  /// Ends the data; returns the number of rows that were copied.
  func endCopyIn(_ operation: inout Operation) throws(PostgresError) -> Int {
    guard case .copyIn(let isAtRisk) = activity, let connection = handle else { throw copyMisuse("COPY FROM STDIN") }
    operation.isAtRisk = isAtRisk
    try putCopy(connection, &operation) { PQputCopyEnd(connection, nil) }
    activity = .none
    return try collect(connection, &operation).affectedRows
  }

  /// Ends a COPY without effect.
  func failCopyIn(_ reason: String, _ operation: inout Operation) throws(PostgresError) {
    guard case .copyIn = activity, let connection = handle else { return }
    try putCopy(connection, &operation) { PQputCopyEnd(connection, reason) }
    activity = .none
    do {
      _ = try collect(connection, &operation)
    } catch  where error.code == .server {
      // As it should: the server confirms that the COPY has failed.
    }
  }

  /// Starts `COPY … TO STDOUT`.
  func beginCopyOut(_ sql: String, _ operation: inout Operation) throws(PostgresError) {
    let connection = try begin(operation)
    try beginCopy(sql, PGRES_COPY_OUT, connection, &operation)
    activity = .copyOut(isAtEnd: false)
    publishStatus()
    // It began before the interruption took effect: the server holds the announcement back until there are rows.
    if let cause = operation.cause {
      while try readCopy(size: Self.copyPiece, &operation) != nil {}
      throw operation.interrupted(cause)
    }
  }

  /// The next data of COPY, whole rows of about `size` bytes together; nil at the end.
  func readCopy(size: Int, _ operation: inout Operation) throws(PostgresError) -> [UInt8]? {
    guard case .copyOut(let isAtEnd) = activity, let connection = handle else { throw copyMisuse("COPY TO STDOUT") }
    if isAtEnd {
      activity = .none
      publishStatus()
      return nil
    }
    var chunk: [UInt8] = []
    chunk.reserveCapacity(size)
    while chunk.count < size {
      var row: UnsafeMutablePointer<CChar>?
      let length = PQgetCopyData(connection, &row, 1)
      if let row {
        chunk.append(contentsOf: UnsafeRawBufferPointer(start: row, count: Int(length)))
        PQfreemem(row)
      } else if length == 0 {
        try awaitCopyData(connection, &operation)
      } else {
        // -1: the data has ended, -2: so has the COPY, with an error; either way a result follows.
        activity = .none
        _ = try collect(connection, &operation)
        if chunk.isEmpty { return nil }
        activity = .copyOut(isAtEnd: true)
        publishStatus()
        return chunk
      }
    }
    return chunk
  }

  /// Stops `COPY … TO STDOUT` before its end.
  func cancelCopyOut(_ operation: inout Operation) throws(PostgresError) {
    guard case .copyOut(let isAtEnd) = activity, let connection = handle else { return }
    if !isAtEnd { try startCancelling(connection, &operation, .cancelled) }
    while case .copyOut = activity {
      do {
        while try readCopy(size: Self.copyPiece, &operation) != nil {}
      } catch  where error.code == .cancelled && handle != nil {
        // As it should: the server confirms that the COPY was stopped.
      }
    }
  }

  private func beginCopy(
    _ sql: String, _ wanted: ExecStatusType, _ connection: OpaquePointer, _ operation: inout Operation
  ) throws(PostgresError) {
    guard !sql.utf8.contains(0) else {
      throw PostgresError(.invalidParameter, "\(operation.what): the SQL text holds a NUL character")
    }
    try sent(PQsendQuery(connection, sql), connection, operation)
    guard let result = try nextResult(connection, &operation) else {
      close()
      throw PostgresError(.protocolViolation, "\(operation.what): libpq gave no result; the connection is closed")
    }
    if PQresultStatus(result) == wanted {
      PQclear(result)
      return
    }
    let outcome = outcome(of: result, connection, operation)
    if handle != nil {
      while let rest = try nextResult(connection, &operation) { PQclear(rest) }
      settle(&operation)
      publishStatus()
    }
    _ = try outcome.get()
    throw PostgresError(.misuse, "\(operation.what): the statement is not the COPY that was announced")
  }

  /// Waits for rows. libpq says "connection ended" of COPY data only as it reads, so that the next call sees it.
  private func awaitCopyData(_ connection: OpaquePointer, _ operation: inout Operation) throws(PostgresError) {
    try awaitProgress(.input, connection, &operation)
    guard PQstatus(connection) != CONNECTION_OK else { return }
    let error = operation.lost(PostgresError.firstLine(PQerrorMessage(connection)))
    close()
    throw error
  }

  /// Repeats until libpq has taken the data: 0 means that its buffer is full.
  private func putCopy(
    _ connection: OpaquePointer, _ operation: inout Operation, _ put: () -> Int32
  ) throws(PostgresError) {
    while true {
      switch put() {
      case 1: return
      case 0: try awaitProgress(.flushed, connection, &operation)
      default:
        let error = operation.lost(PostgresError.firstLine(PQerrorMessage(connection)))
        close()
        throw error
      }
    }
  }

  private func copyMisuse(_ wanted: String) -> PostgresError {
    handle == nil
      ? PostgresError(.connectionLost, "the connection ended during \(wanted); nothing of it took effect")
      : PostgresError(.misuse, "no \(wanted) is under way on this connection")
  }
}
