public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `RecordStore`.
  public func signatures(
    _ query: SignatureQuery, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> [StoredSignature] {
    guard after?.rawValue != .max else { return [] }
    let first = after.map { $0.rawValue + 1 } ?? .min
    let source = SourceSQL(query.source)
    // No more rows than fit if nothing but the least of each counts; those with payloads are likely to be far larger.
    let most = query.includesPayload ? 1000 : 10_000
    let rows = min(most, max(1, maximumBytes / SignatureStatements.leastBytes))
    var parameters: [PostgresValue] = [.id(query.source.id), .int64(first), .count(rows), .count(maximumBytes)]
    if let job = query.job { parameters.append(.id(job)) }
    let statement = SignatureStatements.page(source, query)
    return try await self.query(statement, parameters) { result in
      try result.map { row in
        var signature = try result.signature(row, from: 1, recordID: try result.serialID(row, 0))
        signature.externalID = try result.optionalText(row, 10)
        signature.payload = try result.optionalBytes(row, 11)
        return signature
      }
    }
  }
}

extension PostgresDatabase {
  /// See `RecordStore`.
  public func failures(of job: JobID, after: RecordID?, limit: Int) async throws(StorageError) -> [RecordFailure] {
    try await query(
      SignatureStatements.failures, [.id(job), .int64(after?.rawValue ?? .min), .bool(after == nil), .count(limit)]
    ) { result in
      try result.map { row in
        RecordFailure(
          recordID: try result.serialID(row, 0), code: RecordFailureCode(rawValue: try result.text(row, 1)),
          message: try result.text(row, 2))
      }
    }
  }
}

extension PostgresResult {
  /// Reads `SignatureStatements.columns`.
  func signature(_ row: Int, from column: Int, recordID: RecordID) throws -> StoredSignature {
    StoredSignature(
      recordID: recordID, jobID: try uniqueID(row, column), batchSeq: try int32(row, column + 1),
      keyID: try serialID(row, column + 2), epoch: try epoch(row, column + 3),
      algorithm: try algorithm(row, column + 4), form: try form(row, column + 8), signature: try bytes(row, column + 5),
      payloadDigest: try bytes(row, column + 6), signedAt: try time(row, column + 7))
  }
}

enum SignatureStatements {
  /// Of `chancery.signatures s`, without the record.
  static let columns = """
    s.job_id, s.batch_seq, s.key_id, s.key_epoch, s.algorithm, s.signature, s.payload_digest, s.signed_at,
    (SELECT j.form FROM chancery.jobs j WHERE j.id = s.job_id) AS form
    """

  static let failures = PostgresStatement(
    """
    SELECT record_id, code, message FROM chancery.record_failures
    WHERE job_id = $1::uuid AND (record_id > $2::bigint OR $3::boolean) ORDER BY record_id LIMIT $4::bigint
    """, isReadOnly: true)

  /// What a signature counts at least; see `StoredSignature.pageBytes`.
  static let leastBytes = 128

  /// $1 source, $2 the least id, $3 how many rows, $4 how many bytes, $5 the job.
  static func page(_ source: SourceSQL, _ query: SignatureQuery) -> PostgresStatement {
    let found = query.job == nil ? ofAllSQL : ofJobSQL
    let externalID = query.includesExternalID ? source.externalID : "NULL::text"
    let payload = query.includesPayload ? source.payload(of: "r") : "NULL::bytea"
    let join = query.includesExternalID ? "LEFT JOIN \(source.relation) r ON r.\(source.id) = s.record_id" : ""
    return PostgresStatement(
      """
      SELECT p.record_id, p.job_id, p.batch_seq, p.key_id, p.key_epoch, p.algorithm, p.signature, p.payload_digest,
        p.signed_at, (SELECT j.form FROM chancery.jobs j WHERE j.id = p.job_id), p.external_id, p.payload
      FROM (
        SELECT q.*, row_number() OVER rising AS place,
          sum(\(leastBytes) + octet_length(q.signature) + coalesce(octet_length(q.payload), 0)
            + coalesce(octet_length(q.external_id), 0)) OVER rising AS bytes
        FROM (SELECT s.*, \(externalID) AS external_id, \(payload) AS payload FROM (\(found)) s \(join)) q
        WINDOW rising AS (ORDER BY q.record_id ROWS UNBOUNDED PRECEDING)) p
      WHERE p.bytes <= $4::bigint OR p.place = 1
      ORDER BY p.record_id
      """, isReadOnly: true)
  }

  private static let ofAllSQL = """
    SELECT * FROM chancery.signatures WHERE source_id = $1::int AND record_id >= $2::bigint
    ORDER BY record_id LIMIT $3::bigint
    """

  // An index on the job would cost every commit more than all exports gain: the batches of the job say where to look.
  private static let ofJobSQL = """
    SELECT x.* FROM (
      SELECT first_id, last_id FROM (
        SELECT first_id, last_id, sum(inserted) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - inserted AS before
        FROM (
          SELECT seq, first_id, last_id, inserted FROM chancery.batches
          WHERE job_id = $5::uuid AND seq >= chancery.batch_from($5, $2) AND state = 'signed' AND inserted > 0
          ORDER BY seq LIMIT $3::bigint + 1) signed) counted
      -- The first of them may lie before the least id in part.
      WHERE before <= $3 + 10000) ranges
    CROSS JOIN LATERAL (
      SELECT * FROM chancery.signatures
      WHERE source_id = $1::int AND record_id BETWEEN ranges.first_id AND ranges.last_id AND record_id >= $2::bigint
        AND job_id = $5) x
    ORDER BY x.record_id LIMIT $3
    """
}
