/// Reads the rows of a large result a chunk at a time.
public struct PostgresCursor: Sendable {
  fileprivate let connection: PostgresConnection
  fileprivate let rows: Int
  fileprivate let bytes: Int
  fileprivate let deadline: ContinuousClock.Instant?
  /// How many rows the next chunk is to have.
  private var nextRows: Int

  fileprivate init(
    connection: PostgresConnection, rows: Int, bytes: Int, deadline: ContinuousClock.Instant?
  ) {
    self.connection = connection
    self.rows = rows
    self.bytes = bytes
    self.deadline = deadline
    nextRows = min(rows, 16)
  }

  /// The next rows, or nil at the end.
  ///
  /// - Throws: as ``PostgresConnection/query(_:_:deadline:)``.
  public mutating func next() async throws(PostgresError) -> PostgresResult? {
    let fetch = PostgresStatement("FETCH FORWARD \(nextRows) FROM chancery_cursor", isReadOnly: true, isPrepared: false)
    let chunk = try await connection.query(fetch, deadline: deadline)
    guard chunk.rowCount > 0 else { return nil }
    // As many as fit, going by the size of these, but no more than twice as many as before: the first rows may be small.
    nextRows = max(1, min(rows, nextRows * 2, chunk.rowCount * bytes / max(1, chunk.memoryBytes)))
    return chunk
  }
}

extension PostgresConnection {
  /// Runs a query whose result may not fit in memory, and lends `body` a cursor over its rows.
  ///
  /// Within a transaction block the cursor is part of it; otherwise it has a read-only transaction of its own. Other
  /// statements may run between two chunks. There can be one cursor at a time on a connection.
  ///
  /// - Parameters:
  ///   - statement: a SELECT or VALUES.
  ///   - parameters: its parameters.
  ///   - rows: at most how many rows a chunk has.
  ///   - bytes: about how much memory a chunk takes. The size of the next is estimated from the last, so that rows of
  ///     very different size exceed it.
  ///   - deadline: when to give up.
  ///   - body: reads the rows; it need not read all.
  /// - Throws: what `body` throws; otherwise as ``query(_:_:deadline:)``.
  public nonisolated func withCursor<T>(
    _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], rows: Int = 1000, bytes: Int = 4 << 20,
    deadline: ContinuousClock.Instant? = nil, _ body: (inout PostgresCursor) async throws -> T
  ) async throws -> T {
    precondition(rows > 0 && bytes > 0, "a chunk needs room for a row")
    if await isInTransaction {
      return try await withDeclaredCursor(statement, parameters, rows: rows, bytes: bytes, deadline: deadline, body)
    }
    return try await transaction(isolation: .repeatableRead, readOnly: true, deadline: deadline) { connection in
      try await connection.withDeclaredCursor(
        statement, parameters, rows: rows, bytes: bytes, deadline: deadline, body)
    }
  }

  private nonisolated func withDeclaredCursor<T>(
    _ statement: PostgresStatement, _ parameters: [PostgresValue], rows: Int, bytes: Int,
    deadline: ContinuousClock.Instant?, _ body: (inout PostgresCursor) async throws -> T
  ) async throws -> T {
    let declare = PostgresStatement(
      "DECLARE chancery_cursor NO SCROLL CURSOR WITHOUT HOLD FOR \(statement.sql)", isReadOnly: true)
    _ = try await query(declare, parameters, deadline: deadline)
    var cursor = PostgresCursor(connection: self, rows: rows, bytes: bytes, deadline: deadline)
    // If the body throws, the transaction is rolled back, which closes the cursor.
    let value = try await body(&cursor)
    _ = try await query(PostgresStatement("CLOSE chancery_cursor", isReadOnly: true), deadline: deadline)
    return value
  }

  private var isInTransaction: Bool { session.isInTransaction }
}
