public import Domain
import PostgresDriver
public import Storage
import Synchronization

extension PostgresDatabase {
  /// See `RecordStore`.
  public func payloads(
    of batch: ClaimedBatch, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> PayloadPage {
    let first = after.map { $0 < batch.lastID ? $0.rawValue + 1 : nil } ?? batch.firstID.rawValue
    guard let first else { return PayloadPage() }
    let page = PageRequest(batch: batch, first: first, maximumBytes: maximumBytes)
    if batch.replayPosition != nil, let found = await readFromReplica(page) { return found }
    return try await retrying { deadline in
      try await primary.withConnection(deadline: deadline) { connection in
        try await connection.run { connection in try await read(page, connection, deadline) }
      }
    }
  }

  private struct PageRequest: Sendable {
    var batch: ClaimedBatch
    var first: Int64
    var maximumBytes: Int
  }

  /// Nil if the replica cannot be used: it cannot be reached, is no replica, or does not know all that the batch needs. The
  /// primary can then.
  private func readFromReplica(_ page: PageRequest) async -> PayloadPage? {
    await replica?.read { connection, deadline in
      guard try await knows(page.batch, connection, deadline) else { return nil }
      return try await read(page, connection, deadline)
    }
  }

  /// Whether the replica has replayed what the batch needs, on the same timeline, and has as many records of it as were
  /// planned.
  ///
  /// The position is read in a statement before the records are, so that what they show is at least as new.
  private func knows(
    _ batch: ClaimedBatch, _ connection: isolated PostgresConnection, _ deadline: ContinuousClock.Instant
  ) async throws -> Bool {
    guard let needed = batch.replayPosition else { return false }
    let state = try await connection.query(PayloadStatements.replayState, deadline: deadline)
    guard let position = try state.optionalInt64(0, 0), let timeline = try state.optionalInt32(0, 1) else {
      return false
    }
    let replayed = ReplayPosition(position: UInt64(bitPattern: position), timeline: timeline)
    guard needed.isReached(by: replayed) else { return false }
    let counted = try await connection.query(
      PayloadStatements.count(SourceSQL(batch.source)), [.id(batch.firstID), .id(batch.lastID)], deadline: deadline)
    return try counted.number(0, 0) == batch.count
  }

  /// Reads a page. How many rows fit is estimated from the pages before; a statement first adds up their sizes, which is
  /// far cheaper than to send too many, and only if they do not fit the rows are cut where the sum exceeds the limit.
  private func read(
    _ page: PageRequest, _ connection: isolated PostgresConnection, _ deadline: ContinuousClock.Instant
  ) async throws -> PayloadPage {
    let source = SourceSQL(page.batch.source)
    let sourceID = page.batch.source.id.rawValue
    let mean = payloadBytes.withLock { $0[sourceID] }
    let rows = mean.map { max(1, page.maximumBytes / max(1, $0)) } ?? PayloadStatements.rowsAtFirst
    let limit = min(rows, BatchSize.range.upperBound)
    let parameters: [PostgresValue] = [
      .int64(page.first), .id(page.batch.lastID), .count(limit), .count(page.maximumBytes),
    ]
    var result = try await connection.query(
      limit == 1 ? PayloadStatements.one(source) : PayloadStatements.whole(source),
      limit == 1 ? Array(parameters.prefix(2)) : parameters, deadline: deadline)
    if result.rowCount == 0, limit > 1 {
      result = try await connection.query(PayloadStatements.cut(source), parameters, deadline: deadline)
    }
    let (payloads, sizes) = try result.bytesColumn(1)
    if !sizes.isEmpty { payloadBytes.withLock { $0[sourceID] = payloads.count / sizes.count + 1 } }
    var read = PayloadPage(ids: try result.int64Column(0), sizes: sizes, payloads: payloads)
    if source.isMapped { try read.takeOutFailures(of: result) }
    return read
  }
}

extension PayloadPage {
  /// Column 2 says how large each payload is; one that cannot be signed was read as an empty one.
  fileprivate mutating func takeOutFailures(of result: PostgresResult) throws {
    for row in 0..<result.rowCount {
      let id = RecordID(rawValue: try result.int64(row, 0))
      guard let bytes = try result.optionalInt32(row, 2) else {
        failures.append(.payloadMissing(id))
        continue
      }
      if bytes > Record.maximumPayloadBytes { failures.append(.payloadTooLarge(id, bytes: Int(bytes))) }
    }
    guard !failures.isEmpty else { return }
    let failed = Set(failures.map(\.recordID.rawValue))
    let kept = ids.indices.filter { !failed.contains(ids[$0]) }
    (ids, sizes) = (kept.map { ids[$0] }, kept.map { sizes[$0] })
  }
}

/// $1 the least id, $2 the greatest, $3 how many rows, $4 how many bytes.
enum PayloadStatements {
  /// How many rows are tried of a source of which nothing is known.
  static let rowsAtFirst = 1000

  /// Position and timeline of a replica; NULL where it is none. The timeline of the last restart point may be older than
  /// that of what is being received, never newer.
  static let replayState = PostgresStatement(
    """
    SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, greatest(
      (SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    WHERE pg_is_in_recovery()
    UNION ALL SELECT NULL, NULL WHERE NOT pg_is_in_recovery()
    """, isReadOnly: true)

  static func count(_ source: SourceSQL) -> PostgresStatement {
    PostgresStatement(
      "SELECT count(*) FROM \(source.relation) WHERE \(source.id) >= $1::bigint AND \(source.id) <= $2::bigint",
      isReadOnly: true)
  }

  /// All of the rows if they fit, else none.
  static func whole(_ source: SourceSQL) -> PostgresStatement {
    let rows = "WHERE r.\(source.id) >= $1::bigint AND r.\(source.id) <= $2::bigint"
    return PostgresStatement(
      """
      SELECT \(source.signable) FROM \(source.relation) r \(rows)
        AND (
          SELECT coalesce(sum(octet_length(payload)), 0) <= $4::bigint FROM (
            SELECT \(source.payload(of: "r")) AS payload FROM \(source.relation) r \(rows)
            ORDER BY r.\(source.id) LIMIT $3::bigint) sized)
      ORDER BY r.\(source.id) LIMIT $3::bigint
      """, isReadOnly: true)
  }

  /// Those of the rows that fit, and at least one.
  static func cut(_ source: SourceSQL) -> PostgresStatement {
    PostgresStatement(
      """
      SELECT id, payload\(source.isMapped ? ", size" : "") FROM (
        SELECT rows.*, row_number() OVER rising AS place, sum(octet_length(payload)) OVER rising AS bytes
        FROM (
          SELECT \(source.signable) FROM \(source.relation) r
          WHERE r.\(source.id) >= $1::bigint AND r.\(source.id) <= $2::bigint
          ORDER BY r.\(source.id) LIMIT $3::bigint) rows
        WINDOW rising AS (ORDER BY id ROWS UNBOUNDED PRECEDING)) summed
      WHERE bytes <= $4::bigint OR place = 1
      ORDER BY id
      """, isReadOnly: true)
  }

  static func one(_ source: SourceSQL) -> PostgresStatement {
    PostgresStatement(
      """
      SELECT \(source.signable) FROM \(source.relation) r
      WHERE r.\(source.id) >= $1::bigint AND r.\(source.id) <= $2::bigint ORDER BY r.\(source.id) LIMIT 1
      """, isReadOnly: true)
  }
}
