public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `JobStore`.
  public func job(_ id: JobID) async throws(StorageError) -> Job? {
    try await query(JobStatements.one, [.id(id)]) { result in
      result.rowCount == 0 ? nil : try result.job(0)
    }
  }

  /// See `JobStore`.
  public func jobs(limit: Int, before: JobCursor?) async throws(StorageError) -> [Job] {
    guard let before else {
      return try await query(JobStatements.newest, [.count(limit)]) { result in try result.map(result.job) }
    }
    return try await query(JobStatements.older, [.count(limit), .time(before.createdAt), .id(before.id)]) { result in
      try result.map(result.job)
    }
  }

  /// See `JobStore`.
  public func setState(_ id: JobID, to next: JobState) async throws(StorageError) -> Job {
    try await transaction { connection, deadline in
      let found = try await connection.query(JobStatements.lock, [.id(id)], deadline: deadline)
      guard found.rowCount > 0 else { throw StorageError.unknownJob(id) }
      let state: JobState = try found.name(0, 0)
      if state != next {
        guard state.mayBeSet(to: next) else { throw StorageError.jobState(id, state, next) }
        if next == .cancelled {
          _ = try await connection.query(JobStatements.cancelBatches, [.id(id)], deadline: deadline)
          _ = try await connection.query(JobStatements.end, [.id(id), .text(next.rawValue)], deadline: deadline)
        } else {
          _ = try await connection.query(JobStatements.setState, [.id(id), .text(next.rawValue)], deadline: deadline)
        }
      }
      return try await connection.query(JobStatements.one, [.id(id)], deadline: deadline).job(0)
    }
  }

  /// See `JobStore`.
  public func retryFailed(_ id: JobID) async throws(StorageError) -> Int {
    guard let job = try await job(id) else { throw .unknownJob(id) }
    guard let source = try await source(named: job.sourceName) else { throw .unknownSource(job.sourceName) }
    return try await transaction { connection, deadline in
      // The row of the job first: whoever ends the job at this time has it too.
      let found = try await connection.query(JobStatements.lock, [.id(id)], deadline: deadline)
      guard found.rowCount > 0 else { throw StorageError.unknownJob(id) }
      let state: JobState = try found.name(0, 0)
      guard state != .cancelled else { throw StorageError.retryOfCancelled(id) }
      let retried = try await connection.query(
        JobStatements.retry(SourceSQL(source)), [.id(id)], deadline: deadline
      ).affectedRows
      if retried > 0, state == .done {
        _ = try await connection.query(JobStatements.takeUp, [.id(id)], deadline: deadline)
      }
      return retried
    }
  }

  /// See `JobStore`.
  public func backlog() async throws(StorageError) -> Backlog {
    try await query(JobStatements.backlog) { result in
      Backlog(
        jobs: try result.number(0, 0), batchesPending: try result.number(0, 1), batchesLeased: try result.number(0, 2))
    }
  }

  /// See `JobStore`.
  public func endFinishedJobs() async throws(StorageError) -> [Job] {
    let candidates: [JobID] = try await query(JobStatements.finished) { result in
      try result.map { try result.uniqueID($0, 0) }
    }
    var ended: [Job] = []
    for id in candidates {
      let job: Job? = try await transaction { connection, deadline in
        // A statement of its own takes the lock, so that the next one sees what was committed before.
        _ = try await connection.query(JobStatements.lock, [.id(id)], deadline: deadline)
        let stillFinished = try await connection.query(JobStatements.isFinished, [.id(id)], deadline: deadline)
        guard stillFinished.rowCount > 0 else { return nil }
        _ = try await connection.query(
          JobStatements.end, [.id(id), .text(JobState.done.rawValue)], deadline: deadline)
        return try await connection.query(JobStatements.one, [.id(id)], deadline: deadline).job(0)
      }
      if let job { ended.append(job) }
    }
    return ended
  }
}

extension PostgresResult {
  /// Reads `JobStatements.columns`.
  fileprivate func job(_ row: Int) throws -> Job {
    var counts = JobCounts()
    counts.planned = try int64(row, 15)
    counts.signed = try int64(row, 16)
    counts.failed = try int64(row, 17)
    counts.alreadySigned = try int64(row, 18)
    counts.batches = try int64(row, 19)
    counts.batchesSigned = try int64(row, 20)
    counts.batchesLeased = try int64(row, 21)
    let size = try number(row, 4)
    let priority = try number(row, 5)
    return Job(
      id: try uniqueID(row, 0), sourceID: try serialID(row, 1), sourceName: try text(row, 2),
      algorithm: try algorithm(row, 3), form: try form(row, 12),
      batchSize: try known(BatchSize(rawValue: size), row, 4, "\(size)"),
      priority: try known(JobPriority(rawValue: priority), row, 5, "\(priority)"), state: try name(row, 6),
      idempotencyKey: try optionalText(row, 7).flatMap { IdempotencyKey(rawValue: $0) },
      trace: try jobTrace(row, from: 13),
      recordBound: try serialID(row, 8), isPlanned: try bool(row, 9), counts: counts, createdAt: try time(row, 10),
      endedAt: try optionalTime(row, 11))
  }
}

enum JobStatements {
  private static let totals = """
    coalesce(sum(b.count), 0)::bigint AS planned, coalesce(sum(b.inserted), 0)::bigint AS signed,
    coalesce(sum(CASE WHEN b.state = 'failed' THEN b.count ELSE b.failed END), 0)::bigint AS failed,
    coalesce(sum(b.already), 0)::bigint AS already, count(*) AS batches,
    count(*) FILTER (WHERE b.state = 'signed') AS batches_signed
    """

  /// A job with its counts: those stored at its end, or else those of its batches.
  private static let jobs = """
    SELECT j.id, j.source_id, s.name, j.algorithm, j.batch_size, j.priority, j.state, j.idempotency_key,
      j.record_bound, j.planned, j.created_at, j.ended_at, j.form, j.traceparent, j.tracestate, c.*
    FROM chancery.jobs j JOIN chancery.sources s ON s.id = j.source_id
    CROSS JOIN LATERAL (
      SELECT j.total_planned, j.total_signed, j.total_failed, j.total_already, j.total_batches, j.total_batches_signed,
        0::bigint
      WHERE j.total_planned IS NOT NULL
      UNION ALL
      SELECT \(totals), count(*) FILTER (WHERE b.state = 'leased')
      FROM chancery.batches b WHERE b.job_id = j.id AND j.total_planned IS NULL
      HAVING j.total_planned IS NULL) c
    """

  static let one = PostgresStatement("\(jobs) WHERE j.id = $1::uuid", isReadOnly: true)

  static let newest = PostgresStatement(
    "\(jobs) ORDER BY j.created_at DESC, j.id DESC LIMIT $1::bigint", isReadOnly: true)

  static let older = PostgresStatement(
    """
    \(jobs) WHERE (j.created_at, j.id) < ($2::timestamptz, $3::uuid)
    ORDER BY j.created_at DESC, j.id DESC LIMIT $1::bigint
    """, isReadOnly: true)

  static let backlog: PostgresStatement = {
    func count(_ state: String) -> String {
      """
      (SELECT count(*) FROM chancery.batches b
       WHERE b.is_open AND b.state = '\(state)' AND b.priority = j.priority AND b.job_number = j.number)
      """
    }
    return PostgresStatement(
      """
      SELECT count(*) FILTER (WHERE j.state = 'running'),
        coalesce(sum(\(count("pending"))) FILTER (WHERE j.state = 'running'), 0)::bigint,
        coalesce(sum(\(count("leased"))), 0)::bigint
      FROM chancery.jobs j WHERE j.state IN ('running', 'paused')
      """, isReadOnly: true)
  }()

  static let lock: PostgresStatement = "SELECT state FROM chancery.jobs WHERE id = $1::uuid FOR UPDATE"

  static let setState: PostgresStatement = "UPDATE chancery.jobs SET state = $2::text WHERE id = $1::uuid"

  /// Takes the open batches of a job back for good. They are locked in their order, as by everyone who changes several.
  static let cancelBatches: PostgresStatement = """
    WITH open AS MATERIALIZED (
      SELECT job_id, seq FROM chancery.batches
      WHERE job_id = $1::uuid AND state IN ('pending', 'leased') ORDER BY seq FOR UPDATE)
    UPDATE chancery.batches b SET state = 'cancelled', coordinator = NULL FROM open
    WHERE b.job_id = open.job_id AND b.seq = open.seq AND b.state IN ('pending', 'leased')
    """

  /// Ends a job in the state $2, whose batches have all ended.
  static let end = PostgresStatement(
    """
    UPDATE chancery.jobs SET state = $2::text, ended_at = clock_timestamp(),
      (total_planned, total_signed, total_failed, total_already, total_batches, total_batches_signed) =
        (SELECT \(totals) FROM chancery.batches b WHERE b.job_id = $1)
    WHERE id = $1::uuid
    """)

  static func retry(_ source: SourceSQL) -> PostgresStatement {
    // A mapped table may have gained rows in the range, which is why the batch failed; what it lost was planned.
    PostgresStatement(
      """
      WITH failed AS MATERIALIZED (
        SELECT job_id, seq FROM chancery.batches WHERE job_id = $1::uuid AND state = 'failed' ORDER BY seq FOR UPDATE)
      UPDATE chancery.batches b
      SET state = 'pending', failures = 0, signer_losses = 0, not_before = '-infinity', note = NULL,
        count = greatest(b.count, (
          SELECT count(*) FROM \(source.relation) r WHERE r.\(source.id) BETWEEN b.first_id AND b.last_id))
      FROM failed WHERE b.job_id = failed.job_id AND b.seq = failed.seq AND b.state = 'failed'
      """)
  }

  static let takeUp: PostgresStatement = """
    UPDATE chancery.jobs SET state = 'running', ended_at = NULL, total_planned = NULL, total_signed = NULL,
      total_failed = NULL, total_already = NULL, total_batches = NULL, total_batches_signed = NULL
    WHERE id = $1::uuid
    """

  private static let isFinishedSQL = """
    j.state IN ('running', 'paused') AND j.planned
    AND NOT EXISTS (
      SELECT FROM chancery.batches b
      WHERE b.is_open AND b.state = 'pending' AND b.priority = j.priority AND b.job_number = j.number)
    AND NOT EXISTS (
      SELECT FROM chancery.batches b
      WHERE b.is_open AND b.state = 'leased' AND b.priority = j.priority AND b.job_number = j.number)
    """

  static let finished = PostgresStatement(
    "SELECT j.id FROM chancery.jobs j WHERE \(isFinishedSQL) ORDER BY j.number", isReadOnly: true)

  static let isFinished = PostgresStatement(
    "SELECT FROM chancery.jobs j WHERE j.id = $1::uuid AND \(isFinishedSQL)", isReadOnly: true)
}
