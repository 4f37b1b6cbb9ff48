public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `JobStore`.
  public func claim(
    _ algorithms: Set<SignatureAlgorithm>, coordinator: CoordinatorID, claim: ClaimID, limit: Int
  ) async throws(StorageError) -> [ClaimedBatch] {
    let codes = PostgresValue.int32Array(algorithms.map { Int32($0.storageCode) })
    return try await query(BatchStatements.claim, [.id(coordinator), .id(claim), .count(limit), codes]) { result in
      try result.map { row in
        ClaimedBatch(
          batch: try result.batch(row), source: try result.source(row, from: 12),
          algorithm: try result.algorithm(row, 3), form: try result.form(row, 9),
          trace: try result.jobTrace(row, from: 10), firstID: try result.serialID(row, 4),
          lastID: try result.serialID(row, 5), count: try result.number(row, 6),
          replayPosition: ReplayPosition(
            position: UInt64(bitPattern: try result.int64(row, 7)), timeline: try result.int32(row, 8)))
      }
    }
  }

  /// See `JobStore`.
  public func batchesClaimed(by coordinator: CoordinatorID) async throws(StorageError) -> [BatchAttempt] {
    try await query(BatchStatements.claimed, [.id(coordinator)]) { result in try result.map(result.batch) }
  }

  /// See `JobStore`.
  public func giveBack(_ returns: [ReturnedBatch]) async throws(StorageError) -> Int {
    var causes: [BatchAttempt: BatchReturn] = [:]
    for returned in returns where causes[returned.batch] == nil { causes[returned.batch] = returned.cause }
    if causes.isEmpty { return 0 }
    let wanted = returns.map(\.batch)
    let leased = try await query(
      BatchStatements.spent,
      [
        .ids(wanted.map(\.jobID)), .int32Array(wanted.map(\.seq)), .int32Array(wanted.map(\.attempt)),
      ]
    ) { result in try result.map { try SpentBatch(result, $0) } }
    let settled = leased.compactMap { batch in causes[batch.batch].map { settle(batch, $0) } }
    return try await giveBack(settled, BatchStatements.giveBack, [])
  }

  /// See `JobStore`.
  public func heartbeat(_ coordinator: CoordinatorID) async throws(StorageError) {
    try await run(BatchStatements.heartbeat, [.id(coordinator)])
  }

  /// See `JobStore`.
  public func reclaimFromStaleCoordinators(timeout: Duration) async throws(StorageError) -> Int {
    var reclaimed = 0
    while true {
      let stale = try await query(BatchStatements.stale, [.duration(timeout)]) { result in
        try result.map { try SpentBatch(result, $0) }
      }
      let settled = stale.map { settle($0, .signerLost) }
      reclaimed += try await giveBack(settled, BatchStatements.reclaim, [.duration(timeout)])
      if stale.count < BatchStatements.reclaimedAtOnce { break }
    }
    try await run(BatchStatements.forgetStale, [.duration(timeout)])
    return reclaimed
  }

  /// See `JobStore`.
  public func unregister(_ coordinator: CoordinatorID) async throws(StorageError) {
    try await run(BatchStatements.unregister, [.id(coordinator)])
  }

  private func settle(_ batch: SpentBatch, _ cause: BatchReturn) -> SettledBatch {
    let settled = policy.settle(cause, batch.spent, random: random)
    return SettledBatch(
      batch: batch.batch, state: settled.state, spent: settled.spent, delay: settled.delay, note: cause.note)
  }

  /// What was spent is still what was read, for it changes only when an attempt ends, and the update tests the attempt.
  private func giveBack(
    _ settled: [SettledBatch], _ statement: PostgresStatement, _ more: [PostgresValue]
  ) async throws(StorageError) -> Int {
    if settled.isEmpty { return 0 }
    let columns: [PostgresValue] = [
      .ids(settled.map(\.batch.jobID)), .int32Array(settled.map(\.batch.seq)),
      .int32Array(settled.map(\.batch.attempt)), .textArray(settled.map(\.state.rawValue)),
      .int32Array(settled.map(\.spent.failures)), .int32Array(settled.map(\.spent.signerLosses)),
      .int64Array(settled.map { $0.delay.wholeMicroseconds }), .nullableTextArray(settled.map(\.note)),
    ]
    return try await run(statement, columns + more)
  }
}

/// A leased batch with what it has spent of its budgets.
private struct SpentBatch: Sendable {
  var batch: BatchAttempt
  var spent: BatchBudget.Spent

  init(_ result: PostgresResult, _ row: Int) throws {
    batch = try result.batch(row)
    spent = BatchBudget.Spent(failures: try result.int32(row, 3), signerLosses: try result.int32(row, 4))
  }
}

/// What becomes of a batch that comes back.
private struct SettledBatch: Sendable {
  var batch: BatchAttempt
  var state: BatchState
  var spent: BatchBudget.Spent
  var delay: Duration
  var note: String?
}

extension PostgresResult {
  /// Reads a batch from the first three columns: job, number, attempt.
  fileprivate func batch(_ row: Int) throws(PostgresError) -> BatchAttempt {
    BatchAttempt(jobID: try uniqueID(row, 0), seq: try int32(row, 1), attempt: try int32(row, 2))
  }
}

extension Duration {
  fileprivate var wholeMicroseconds: Int64 {
    components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
  }
}

enum BatchStatements {
  // Locked rows are another's: it takes them. Of the jobs of one priority, the one goes first that has the fewest batches out;
  // each job's own are read from the index in their order, and no more of them than are wanted.
  static let claim = PostgresStatement(
    """
    WITH q AS MATERIALIZED (
      SELECT w.job_id, w.seq, j.leased + row_number() OVER (PARTITION BY j.number ORDER BY w.seq) AS turn
      FROM (
        SELECT j.number, j.priority, (
            SELECT count(*) FROM chancery.batches b
            WHERE b.is_open AND b.state = 'leased' AND b.priority = j.priority AND b.job_number = j.number) AS leased
        FROM chancery.jobs j WHERE j.state = 'running' AND j.algorithm = ANY ($4::int[])) j
      CROSS JOIN LATERAL (
        SELECT b.job_id, b.seq FROM chancery.batches b
        WHERE b.is_open AND b.state = 'pending' AND b.priority = j.priority AND b.job_number = j.number
          AND b.not_before <= clock_timestamp()
        ORDER BY b.seq LIMIT $3::bigint FOR UPDATE SKIP LOCKED) w
      ORDER BY j.priority DESC, turn, j.number
      LIMIT $3::bigint),
    t AS (
      UPDATE chancery.batches b
      SET state = 'leased', attempt = b.attempt + 1, coordinator = $1::uuid, claim_id = $2::uuid,
        claimed_at = clock_timestamp()
      FROM q WHERE b.job_id = q.job_id AND b.seq = q.seq AND b.state = 'pending'
      RETURNING b.job_id, b.seq, b.attempt, b.first_id, b.last_id, b.count, b.priority, b.job_number)
    SELECT t.job_id, t.seq, t.attempt, j.algorithm, t.first_id, t.last_id, t.count, j.wal_position, j.wal_timeline,
      j.form, j.traceparent, j.tracestate, \(SourceStatements.columns)
    FROM t JOIN q ON q.job_id = t.job_id AND q.seq = t.seq
    JOIN chancery.jobs j ON j.id = t.job_id JOIN chancery.sources s ON s.id = j.source_id
    ORDER BY t.priority DESC, q.turn, t.job_number
    """)

  static let claimed = PostgresStatement(
    """
    SELECT b.job_id, b.seq, b.attempt FROM chancery.batches b
    WHERE b.is_open AND b.state = 'leased' AND b.coordinator = $1::uuid
    ORDER BY b.priority DESC, b.job_number, b.seq
    """, isReadOnly: true)

  static let spent = PostgresStatement(
    """
    SELECT b.job_id, b.seq, b.attempt, b.failures, b.signer_losses
    FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::int[], $3::int[])) r(job_id, seq, attempt)
    JOIN chancery.batches b ON b.job_id = r.job_id AND b.seq = r.seq
    WHERE b.state = 'leased' AND b.attempt = r.attempt
    """, isReadOnly: true)

  static let giveBack = giveBack(where: "")

  static let reclaim = giveBack(where: "AND \(isStale("$9"))")

  /// Batches are locked in their order, as by everyone who changes several.
  private static func giveBack(where condition: String) -> PostgresStatement {
    PostgresStatement(
      """
      WITH r AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::int[], $6::int[], $7::bigint[], $8::text[])
          r(job_id, seq, attempt, state, failures, signer_losses, delay, note)),
      l AS MATERIALIZED (
        SELECT b.job_id, b.seq FROM chancery.batches b JOIN r ON b.job_id = r.job_id AND b.seq = r.seq
        WHERE b.state = 'leased' AND b.attempt = r.attempt ORDER BY b.job_id, b.seq FOR UPDATE OF b)
      UPDATE chancery.batches b
      SET state = r.state, failures = r.failures, signer_losses = r.signer_losses, coordinator = NULL,
        note = coalesce(r.note, b.note),
        not_before = clock_timestamp() + r.delay * interval '1 microsecond'
      FROM r JOIN l ON l.job_id = r.job_id AND l.seq = r.seq
      WHERE b.job_id = r.job_id AND b.seq = r.seq AND b.state = 'leased' AND b.attempt = r.attempt \(condition)
      """)
  }

  static let reclaimedAtOnce = 1000

  /// Whether nobody has heard from the coordinator of batch b for so long, or it is not registered.
  private static func isStale(_ timeout: String) -> String {
    """
    NOT EXISTS (
      SELECT FROM chancery.coordinators c
      WHERE c.id = b.coordinator AND c.heartbeat_at >= clock_timestamp() - \(timeout)::interval)
    """
  }

  static let stale = PostgresStatement(
    """
    SELECT b.job_id, b.seq, b.attempt, b.failures, b.signer_losses FROM chancery.batches b
    WHERE b.is_open AND b.state = 'leased' AND \(isStale("$1")) LIMIT \(reclaimedAtOnce)
    """, isReadOnly: true)

  static let forgetStale: PostgresStatement = """
    DELETE FROM chancery.coordinators c
    WHERE c.heartbeat_at < clock_timestamp() - $1::interval
      AND NOT EXISTS (
        SELECT FROM chancery.batches b WHERE b.is_open AND b.state = 'leased' AND b.coordinator = c.id)
    """

  static let heartbeat: PostgresStatement = """
    INSERT INTO chancery.coordinators AS c (id, heartbeat_at) VALUES ($1::uuid, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = clock_timestamp()
    """

  static let unregister: PostgresStatement = "DELETE FROM chancery.coordinators WHERE id = $1::uuid"
}
