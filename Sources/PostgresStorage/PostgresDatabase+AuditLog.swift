public import Domain
import PostgresDriver
public import Storage

/// What `readAuditLog` comes upon, in this order.
public enum AuditLogRow: Sendable, Hashable {
  /// An entry of the log, as it is stored.
  case sealed(seq: Int64, entry: String, hash: [UInt8])
  /// An entry that is not sealed yet.
  case pending(entry: String)
  /// What the batches of a job say: how many are signed, and how many signatures they have stored.
  case stored(job: JobID, batches: Int64, signatures: Int64)
}

extension PostgresDatabase: AuditLogStore {
  /// See `AuditLogStore`.
  public func sealAuditLog(maximum: Int) async throws(StorageError) -> SealedEntries {
    precondition(maximum > 0, "at least one entry is sealed, not \(maximum)")
    return try await query(AuditLogStatements.seal, [.count(maximum)]) { result in
      let bytes = try result.bytes(0, 2)
      guard let hash = SHA256Digest(bytes) else {
        throw StorageError(
          .corrupt, "the hash of entry \(try result.int64(0, 1)) of the audit log has \(bytes.count) bytes")
      }
      return SealedEntries(
        count: try result.number(0, 0), head: AuditLogHead(seq: try result.int64(0, 1), hash: hash))
    }
  }

  /// Reads the audit log from an entry on, what is not sealed yet, and what batches say, all on one snapshot and without a
  /// lock, and hands each to `take`. Memory does not grow with the log.
  public func readAuditLog<Reader: Sendable>(
    from seq: Int64, into reader: Reader, _ take: @Sendable (inout Reader, AuditLogRow) throws -> Void
  ) async throws(StorageError) -> Reader {
    try await onSnapshot { connection, deadline in
      var reader = reader
      func read(
        _ statement: PostgresStatement, _ parameters: [PostgresValue] = [],
        _ row: (PostgresResult, Int) throws -> AuditLogRow
      ) async throws {
        try await connection.withCursor(statement, parameters, rows: 5000, deadline: deadline) { cursor in
          while let chunk = try await cursor.next() {
            for index in 0..<chunk.rowCount { try take(&reader, try row(chunk, index)) }
          }
        }
      }
      try await read(AuditLogStatements.sealed, [.int64(seq)]) {
        .sealed(seq: try $0.int64($1, 0), entry: try $0.text($1, 1), hash: try $0.bytes($1, 2))
      }
      try await read(AuditLogStatements.pending) { .pending(entry: try $0.text($1, 0)) }
      try await read(AuditLogStatements.stored) {
        .stored(job: try $0.uniqueID($1, 0), batches: try $0.int64($1, 1), signatures: try $0.int64($1, 2))
      }
      return reader
    }
  }
}

private enum AuditLogStatements {
  static let seal: PostgresStatement = "SELECT sealed, seq, hash FROM chancery.seal_audit_log($1::int)"

  static let sealed = PostgresStatement(
    "SELECT seq, entry, hash FROM chancery.audit_log WHERE seq >= $1::bigint ORDER BY seq", isReadOnly: true)

  static let pending = PostgresStatement("SELECT entry FROM chancery.audit_pending ORDER BY id", isReadOnly: true)

  static let stored = PostgresStatement(
    """
    SELECT job_id, count(*), sum(inserted)::bigint FROM chancery.batches WHERE state = 'signed'
    GROUP BY job_id ORDER BY job_id
    """, isReadOnly: true)
}
