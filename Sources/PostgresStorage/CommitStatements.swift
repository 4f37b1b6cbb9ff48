import Domain
import PostgresDriver
import Storage

/// The statements that store a result. Each is a transaction of its own, READ COMMITTED, and locks in the same order: the
/// key, then the batch, then the signatures by ascending id.
///
/// Parameters: $1 key, $2 epoch, $3 lease, $4 signer, $5 job, $6 batch, $7 attempt; $8, $9, $10 ids, signatures and digests
/// of the records signed; $11, $12, $13 ids, codes and messages of those that failed alone; $14 how many more are gone;
/// $15 and $16 the least and the greatest id named; $17 the form.
enum CommitStatements {
  /// Locks the key against the next grant until the commit is done. FOR SHARE it must be: without a lock, or with FOR KEY
  /// SHARE, a grant and a commit under the old epoch can both succeed. The row is not changed: two commits of one key
  /// would deadlock.
  private static let key = """
    SELECT k.algorithm FROM chancery.keys k
    WHERE k.id = $1::bigint AND k.epoch = $2::bigint AND k.lease_id = $3::uuid AND k.state <> 'disabled'
      AND (SELECT x.holder FROM chancery.key_leases x WHERE x.key_id = $1 AND x.epoch = $2 AND x.lease_id = $3) = $4::uuid
    FOR SHARE
    """

  private static let job = "SELECT j.source_id, j.algorithm, j.form FROM chancery.jobs j WHERE j.id = $5::uuid"

  /// The batch must be leased at this attempt and have exactly so many records, all within its range; and the key must be
  /// locked, and of the algorithm of the job; and the signatures of its form.
  private static let isCommittable = """
    b.job_id = $5 AND b.seq = $6::int AND b.state = 'leased' AND b.attempt = $7::int
      AND b.count = cardinality($8::bigint[]) + cardinality($11::bigint[]) + $14::int
      AND b.first_id <= coalesce($15::bigint, b.first_id) AND b.last_id >= coalesce($16::bigint, b.last_id)
      AND (SELECT algorithm FROM k) = (SELECT algorithm FROM j) AND (SELECT form FROM j) = $17::smallint
    """

  private static let ending = """
    state = 'signed', signer = $4, key_id = $1, key_epoch = $2, lease_id = $3,
      failed = cardinality($11) + $14, signed_at = clock_timestamp(),
      signed_lsn = (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint
    """

  private static let failures = """
    INSERT INTO chancery.record_failures (job_id, source_id, record_id, batch_seq, attempt, code, message)
      SELECT $5, (SELECT source_id FROM j), u.id, $6, $7, u.code, u.message
      FROM unnest($11, $12::text[], $13::text[]) u(id, code, message) WHERE EXISTS (SELECT 1 FROM b)
    """

  private static let columns =
    "source_id, record_id, job_id, batch_seq, key_id, key_epoch, algorithm, signature, payload_digest, signed_at"

  /// One row if the result was stored. A record that another job has signed is a unique violation, and nothing is stored.
  ///
  /// The arrays are spread in the select list: as a table they would first be put aside row by row.
  static let plain = PostgresStatement(
    """
    WITH k AS MATERIALIZED (\(key)),
    j AS MATERIALIZED (\(job)),
    b AS (
      UPDATE chancery.batches b SET \(ending), inserted = cardinality($8), already = 0
      WHERE \(isCommittable)
      RETURNING b.signed_at),
    f AS (\(failures)),
    s AS (
      INSERT INTO chancery.signatures (\(columns))
      SELECT (SELECT source_id FROM j), unnest($8), $5, $6, $1, $2, (SELECT algorithm FROM k), unnest($9::bytea[]),
        unnest($10::bytea[]), (SELECT signed_at FROM b)
      WHERE EXISTS (SELECT 1 FROM b))
    SELECT 1 FROM b
    """)

  /// One row if the result was stored: how many signatures are new, and how many records were signed already.
  static let counting = PostgresStatement(
    """
    WITH k AS MATERIALIZED (\(key)),
    j AS MATERIALIZED (\(job)),
    b AS MATERIALIZED (
      SELECT b.job_id, b.seq FROM chancery.batches b WHERE \(isCommittable) FOR NO KEY UPDATE),
    f AS (\(failures)),
    s AS (
      INSERT INTO chancery.signatures (\(columns))
      SELECT (SELECT source_id FROM j), u.id, $5, $6, $1, $2, (SELECT algorithm FROM k), u.signature, u.digest,
        (SELECT clock_timestamp())
      FROM unnest($8, $9::bytea[], $10::bytea[]) u(id, signature, digest) WHERE EXISTS (SELECT 1 FROM b)
      ORDER BY u.id
      ON CONFLICT (source_id, record_id) DO NOTHING
      RETURNING 1),
    n AS MATERIALIZED (SELECT count(*)::int AS inserted FROM s),
    u AS (
      UPDATE chancery.batches b
      SET \(ending), inserted = (SELECT inserted FROM n), already = cardinality($8) - (SELECT inserted FROM n)
      WHERE b.job_id = $5 AND b.seq = $6 AND b.state = 'leased' AND b.attempt = $7 AND EXISTS (SELECT 1 FROM b)
      RETURNING b.inserted, b.already)
    SELECT inserted, already FROM u
    """)

  /// What is known of the batch and the key of a result. $1 key, $2 epoch, $3 lease, $4 job, $5 batch.
  static let look = PostgresStatement(
    """
    SELECT b.state, b.attempt, b.first_id, b.last_id, b.count, j.algorithm, b.key_id, b.key_epoch, b.lease_id, b.inserted,
      b.already, k.state, k.epoch, k.lease_id, k.algorithm, x.holder, j.form
    FROM (SELECT) one
    LEFT JOIN chancery.batches b ON b.job_id = $4::uuid AND b.seq = $5::int
    LEFT JOIN chancery.jobs j ON j.id = b.job_id
    LEFT JOIN chancery.keys k ON k.id = $1::bigint
    LEFT JOIN chancery.key_leases x ON x.key_id = $1 AND x.epoch = $2::bigint AND x.lease_id = $3::uuid
    """, isReadOnly: true)

  /// Writes a refusal into the audit log: no trigger could see it.
  static let refusal: PostgresStatement = """
    SELECT chancery.audit_refusal($1::uuid, $2::int, $3::int, $4::bigint, $5::bigint, $6::uuid, $7::uuid, $8::text)
    """

  static func parameters(_ result: SignedBatch) -> [PostgresValue] {
    let span = result.span
    return [
      .id(result.keyID), .epoch(result.epoch), .id(result.leaseID), .id(result.signer), .id(result.batch.jobID),
      .int32(result.batch.seq), .int32(result.batch.attempt), .int64Array(result.recordIDs),
      .byteaArray(concatenated: result.signatures, sizes: result.signatureSizes),
      .fixedByteaArray(concatenated: result.payloadDigests, elementSize: SHA256Digest.byteCount),
      .ids(result.failures.map(\.recordID)), .textArray(result.failures.map(\.code.rawValue)),
      .textArray(result.failures.map(\.message)), .count(result.missing),
      .optional(span?.lowerBound) { .int64($0) }, .optional(span?.upperBound) { .int64($0) },
      .form(result.form),
    ]
  }

  static func refusalParameters(_ result: SignedBatch, _ refusal: CommitRefusal) -> [PostgresValue] {
    [
      .id(result.batch.jobID), .int32(result.batch.seq), .int32(result.batch.attempt), .id(result.keyID),
      .epoch(result.epoch), .id(result.leaseID), .id(result.signer), .text(refusal.rawValue),
    ]
  }

  static func lookParameters(_ result: SignedBatch) -> [PostgresValue] {
    [
      .id(result.keyID), .epoch(result.epoch), .id(result.leaseID), .id(result.batch.jobID), .int32(result.batch.seq),
    ]
  }
}
