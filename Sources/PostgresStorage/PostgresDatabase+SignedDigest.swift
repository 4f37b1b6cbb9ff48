import PostgresDriver
public import Storage

/// What was signed up to a place in the write-ahead log: how many signatures, and a digest over all of them. As long as
/// what is signed stays signed, it is the same at every look.
public struct SignedDigest: Sendable, Hashable {
  /// How many signatures.
  public var count: Int64
  /// A hash over record, key and signature of each, in no order.
  public var digest: Int64
}

extension PostgresDatabase {
  /// Digests of what was signed up to each of two places in the write-ahead log, and the log's end now; from one look at
  /// the signatures. A commit that was under way when a place was the log's end may still add to what is before it.
  public func signedDigests(
    upTo first: Int64, _ second: Int64
  ) async throws(StorageError) -> (first: SignedDigest, second: SignedDigest, end: Int64) {
    try await onSnapshot { connection, deadline in
      let row = try await connection.query(
        AuditStatements.signedDigests, [.int64(first), .int64(second)], deadline: deadline)
      return (
        SignedDigest(count: try row.int64(0, 0), digest: try row.int64(0, 1)),
        SignedDigest(count: try row.int64(0, 2), digest: try row.int64(0, 3)), try row.int64(0, 4)
      )
    }
  }
}

extension AuditStatements {
  fileprivate static let signedDigests = PostgresStatement(
    """
    WITH x AS (
      SELECT b.signed_lsn AS lsn, hash_record_extended(ROW(s.source_id, s.record_id, s.key_id, s.signature), 0) AS hash
      FROM chancery.signatures s JOIN chancery.batches b ON b.job_id = s.job_id AND b.seq = s.batch_seq)
    SELECT count(*) FILTER (WHERE lsn <= $1::bigint), coalesce(bit_xor(hash) FILTER (WHERE lsn <= $1), 0),
      count(*) FILTER (WHERE lsn <= $2::bigint), coalesce(bit_xor(hash) FILTER (WHERE lsn <= $2), 0),
      (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint
    FROM x
    """, isReadOnly: true)
}
