/// Sends the data of a COPY to the server.
public struct PostgresCopyWriter: Sendable {
  fileprivate let connection: PostgresConnection
  fileprivate let deadline: ContinuousClock.Instant?

  /// Sends a piece of the data. It may begin and end anywhere, also within a row; some hundred kilobytes are best.
  ///
  /// Returns when the kernel has taken all of it, so that no more than one piece is held in memory. The server reports an
  /// error in the data only at the end.
  ///
  /// - Throws: `connectionLost`, `cancelled`, `deadlineExceeded`: then the COPY has no effect.
  public func write(_ bytes: [UInt8]) async throws(PostgresError) {
    try await connection.writeCopy(bytes, deadline: deadline)
  }
}

extension PostgresConnection {
  /// Copies rows to the server: `COPY table (columns) FROM STDIN`, with `(FORMAT binary)` for ``PostgresCopyEncoder``.
  ///
  /// - Parameters:
  ///   - sql: the COPY statement.
  ///   - deadline: when to give up.
  ///   - body: writes all data; if it throws, nothing is copied.
  /// - Returns: how many rows were copied.
  /// - Throws: what `body` throws; otherwise as ``query(_:_:deadline:)``.
  @discardableResult
  public nonisolated func copyIn(
    _ sql: String, deadline: ContinuousClock.Instant? = nil,
    _ body: (PostgresCopyWriter) async throws -> Void
  ) async throws -> Int {
    let statement = PostgresStatement(sql, isReadOnly: false, isPrepared: false)
    try await beginCopyIn(statement, deadline: deadline)
    do {
      try await body(PostgresCopyWriter(connection: self, deadline: deadline))
    } catch {
      await failCopyIn(statement)
      throw error
    }
    return try await endCopyIn(statement, deadline: deadline)
  }

  /// Copies rows from the server: `COPY … TO STDOUT`, with `(FORMAT binary)` for ``PostgresCopyDecoder``.
  ///
  /// The rows stream: while `body` works, the server waits.
  ///
  /// - Parameters:
  ///   - sql: the COPY statement.
  ///   - chunkBytes: about how much data `body` gets at a time; at most one row more.
  ///   - deadline: when to give up.
  ///   - body: takes the next data, always whole rows; if it throws, the COPY is stopped.
  /// - Throws: what `body` throws; otherwise as ``query(_:_:deadline:)``.
  public nonisolated func copyOut(
    _ sql: String, chunkBytes: Int = 256 << 10, deadline: ContinuousClock.Instant? = nil,
    _ body: ([UInt8]) async throws -> Void
  ) async throws {
    precondition(chunkBytes > 0, "chunks need a size")
    let statement = PostgresStatement(sql, isReadOnly: false, isPrepared: false)
    try await beginCopyOut(statement, deadline: deadline)
    do {
      while let chunk = try await readCopy(statement, size: chunkBytes, deadline: deadline) {
        try await body(chunk)
      }
    } catch {
      await cancelCopyOut(statement)
      throw error
    }
  }

  /// Ends a COPY without effect; what prevents that closes the connection, which has the same effect.
  private func failCopyIn(_ statement: PostgresStatement) {
    var operation = Operation(
      "COPY", statement: statement, deadline: .now + session.configuration.cancelGrace, flag: nil,
      interruption: .closesConnection)
    do {
      try session.failCopyIn("the client has given up", &operation)
    } catch {
      session.close()
    }
  }

  private func cancelCopyOut(_ statement: PostgresStatement) {
    var operation = Operation("COPY", statement: statement, deadline: nil, flag: nil)
    do {
      try session.cancelCopyOut(&operation)
    } catch {
      session.close()
    }
  }

  // The steps of COPY on the connection's thread.

  private func beginCopyIn(
    _ statement: PostgresStatement, deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("COPY", statement: statement, deadline: deadline, flag: flag)
      try session.beginCopyIn(statement.sql, &operation)
    }
  }

  fileprivate func writeCopy(
    _ bytes: [UInt8], deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("COPY", deadline: deadline, flag: flag, interruption: .leavesExchange)
      try session.writeCopy(bytes, &operation)
    }
  }

  private func endCopyIn(
    _ statement: PostgresStatement, deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) -> Int {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("COPY", statement: statement, deadline: deadline, flag: flag)
      return try session.endCopyIn(&operation)
    }
  }

  private func beginCopyOut(
    _ statement: PostgresStatement, deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("COPY", statement: statement, deadline: deadline, flag: flag)
      try session.beginCopyOut(statement.sql, &operation)
    }
  }

  private func readCopy(
    _ statement: PostgresStatement, size: Int, deadline: ContinuousClock.Instant?
  ) async throws(PostgresError) -> [UInt8]? {
    try await interruptible { flag throws(PostgresError) in
      var operation = Operation("COPY", statement: statement, deadline: deadline, flag: flag)
      return try session.readCopy(size: size, &operation)
    }
  }
}
