public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `JobStore`.
  ///
  /// Runs on the primary. Transactions that hold a lock for writing on the source when its greatest id has been read may
  /// have drawn smaller ids and commit later; they are waited for without holding up any other. Throws `unavailable`
  /// when they take longer than `PostgresStorageLimits.writers`.
  public func submit(_ submission: JobSubmission) async throws(StorageError) -> Job {
    if let job = try await takenBy(submission) { return job }
    guard let source = try await source(named: submission.sourceName) else {
      throw .unknownSource(submission.sourceName)
    }
    let bound = try await query(SubmitStatements.bound(SourceSQL(source))) { try $0.optionalInt64(0, 0) }
    guard let bound else { throw .emptySource(submission.sourceName) }
    let keys = try await activeKeyCount(submission.algorithm)
    guard keys > 0 else { throw .noActiveKey(submission.algorithm) }
    try await waitForWriters(of: source)

    let inserted = try await run(
      SubmitStatements.insert,
      [
        .id(submission.id), .id(source.id), .algorithm(submission.algorithm),
        .count(submission.batchSize.rawValue), .count(submission.priority.rawValue),
        submission.idempotencyKey.map { .text($0.rawValue) } ?? .null, .int64(bound), .form(submission.form),
        submission.trace.map { .text($0.parent) } ?? .null, submission.trace?.state.map { .text($0) } ?? .null,
      ])
    if inserted == 0 {
      // Another submission was faster.
      guard let job = try await takenBy(submission) else {
        throw StorageError(
          .unavailable, "job \(submission.id) met another submission that has gone since: submit again")
      }
      return job
    }
    guard let job = try await job(submission.id) else {
      throw StorageError(.corrupt, "job \(submission.id) was stored and is not there")
    }
    return job
  }

  /// The job that an earlier submission of the same has made.
  private func takenBy(_ submission: JobSubmission) async throws(StorageError) -> Job? {
    let key = submission.idempotencyKey.map { PostgresValue.text($0.rawValue) } ?? .null
    let taken: JobID? = try await query(SubmitStatements.taken, [.id(submission.id), key]) { result in
      result.rowCount == 0 ? nil : try result.uniqueID(0, 0)
    }
    guard let taken, let job = try await job(taken) else { return nil }
    guard
      job.sourceName == submission.sourceName, job.algorithm == submission.algorithm, job.form == submission.form,
      job.batchSize == submission.batchSize, job.priority == submission.priority,
      job.idempotencyKey == submission.idempotencyKey
    else { throw .submissionConflict(submission, with: taken) }
    return job
  }

  private func waitForWriters(of source: Source) async throws(StorageError) {
    let limit = ContinuousClock.now + limits.writers
    var writers: [String] = try await query(SubmitStatements.writers, [.text(source.relation)]) { result in
      try result.textArray(0, 0)
    }
    var delay = Duration.milliseconds(2)
    while !writers.isEmpty {
      guard ContinuousClock.now < limit else {
        throw StorageError(
          .unavailable,
          "\(writers.count) transactions have been writing to source \(source.name) for \(limits.writers): end them (see "
            + "pg_locks, virtualtransaction \(writers.prefix(5).joined(separator: ", "))) and submit again")
      }
      try await pause(delay)
      delay = min(delay * 2, .milliseconds(100))
      writers = try await query(SubmitStatements.remaining, [.text(source.relation), .textArray(writers)]) { result in
        try result.textArray(0, 0)
      }
    }
  }
}

enum SubmitStatements {
  static func bound(_ source: SourceSQL) -> PostgresStatement {
    PostgresStatement("SELECT max(\(source.id)) FROM \(source.relation)", isReadOnly: true)
  }

  static let taken = PostgresStatement(
    """
    SELECT id FROM chancery.jobs WHERE idempotency_key = $2::text
    UNION ALL SELECT id FROM chancery.jobs WHERE id = $1::uuid LIMIT 1
    """, isReadOnly: true)

  // A partition may also be written to by its own name, and who adds rows to a view writes to what it reads from. Prepared
  // transactions have no process.
  private static let held = """
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      AND l.relation IN (
        WITH RECURSIVE used (oid) AS (
          SELECT to_regclass($1::text)::oid
          UNION SELECT d.refobjid
          FROM used u JOIN pg_rewrite w ON w.ev_class = u.oid
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
            AND d.refclassid = 'pg_class'::regclass)
        SELECT oid FROM used UNION SELECT t.relid FROM used CROSS JOIN LATERAL pg_partition_tree(used.oid) t)
    """

  /// The transactions that may be adding rows.
  static let writers = PostgresStatement(
    "SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') \(held)", isReadOnly: true)

  /// Those of the transactions named that still may.
  static let remaining = PostgresStatement(
    """
    SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') \(held)
      AND l.virtualtransaction = ANY ($2::text[])
    """, isReadOnly: true)

  // The position at which a record would be inserted now, not that up to which the log is written: records may be
  // committed and visible before their part of the log is (synchronous_commit off).
  static let insert: PostgresStatement = """
    INSERT INTO chancery.jobs
      (id, source_id, algorithm, batch_size, priority, idempotency_key, record_bound, form, wal_position, wal_timeline,
        traceparent, tracestate)
    SELECT $1::uuid, $2::int, $3::smallint, $4::int, $5::smallint, $6::text, $7::bigint, $8::smallint,
      (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
      ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int, $9::text, $10::text
    ON CONFLICT DO NOTHING
    """
}
