import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `JobStore`.
  ///
  /// A window of at most `PostgresStorageLimits.batchesPerWindow` batches is one statement. It moves the job on by
  /// compare-and-set, so that of two coordinators that plan at once one plans and the other finds nothing to do.
  public func plan(target: Int) async throws(StorageError) -> Int {
    precondition(target > 0, "at least one batch must be wanted, not \(target)")
    let jobs = try await query(PlanStatements.jobs, [.count(target)]) { result in
      try result.map { try PlannedJob(result, $0) }
    }
    var planned = 0
    for var job in jobs {
      while job.missing > 0, !job.isPlanned {
        guard let window = try await planWindow(&job) else { break }
        planned += window
      }
    }
    return planned
  }

  /// Plans the next window; nil if another planner was faster or the job was stopped.
  private func planWindow(_ job: inout PlannedJob) async throws(StorageError) -> Int? {
    let size = job.batchSize
    let batches = max(1, min(job.missing, limits.batchesPerWindow, limits.recordsPerWindow / size))
    let parameters: [PostgresValue] = [
      .id(job.id), .int64(job.nextID), .int32(job.nextSeq), .count(size), .int64(job.bound), .count(batches),
    ]
    let moved: (nextID: Int64, nextSeq: Int32, isPlanned: Bool)? = try await query(
      PlanStatements.window(SourceSQL(job.source)), parameters
    ) { result in
      result.rowCount == 0 ? nil : (try result.int64(0, 0), try result.int32(0, 1), try result.bool(0, 2))
    }
    guard let moved else { return nil }
    let planned = Int(moved.nextSeq - job.nextSeq)
    job.nextID = moved.nextID
    job.nextSeq = moved.nextSeq
    job.isPlanned = moved.isPlanned
    job.missing -= planned
    return planned
  }
}

/// A job that is to be planned further.
private struct PlannedJob: Sendable {
  let id: JobID
  let batchSize: Int
  let bound: Int64
  let source: Source
  var nextID: Int64
  var nextSeq: Int32
  /// How many batches fewer wait than are wanted.
  var missing: Int
  var isPlanned = false

  init(_ result: PostgresResult, _ row: Int) throws {
    id = try result.uniqueID(row, 0)
    batchSize = try result.number(row, 1)
    bound = try result.int64(row, 2)
    nextID = try result.int64(row, 3)
    nextSeq = try result.int32(row, 4)
    missing = try result.number(row, 5)
    source = try result.source(row, from: 6)
  }
}

enum PlanStatements {
  static let jobs = PostgresStatement(
    """
    SELECT j.id, j.batch_size, j.record_bound, j.next_id, j.next_seq, $1::bigint - w.waiting, \(SourceStatements.columns)
    FROM chancery.jobs j JOIN chancery.sources s ON s.id = j.source_id
    CROSS JOIN LATERAL (
      SELECT count(*) AS waiting FROM (
        SELECT FROM chancery.batches b
        WHERE b.is_open AND b.state = 'pending' AND b.priority = j.priority AND b.job_number = j.number LIMIT $1::bigint) x) w
    WHERE j.state = 'running' AND NOT j.planned AND w.waiting < $1::bigint
    ORDER BY j.priority DESC, j.number
    """, isReadOnly: true)

  /// Cuts the ids from the job's next one on into batches: $1 job, $2 and $3 its cursor, $4 batch size, $5 bound, $6 how many
  /// batches.
  ///
  /// Each cut skips a batch's worth of ids in the index, which reads nothing but the index and counts nothing: a sixth of
  /// the time that numbering the rows takes.
  static func window(_ source: SourceSQL) -> PostgresStatement {
    let (relation, id) = (source.relation, source.id)
    return PostgresStatement(
      """
      WITH RECURSIVE cuts AS (
        SELECT 0::bigint AS place, (
          SELECT \(id) FROM \(relation) WHERE \(id) >= $2::bigint AND \(id) <= $5::bigint
          ORDER BY \(id) LIMIT 1) AS first_id
        UNION ALL
        SELECT c.place + 1, (
          SELECT \(id) FROM \(relation) WHERE \(id) >= c.first_id AND \(id) <= $5
          ORDER BY \(id) OFFSET $4::bigint LIMIT 1)
        FROM cuts c WHERE c.place < $6::bigint AND c.first_id IS NOT NULL),
      ranges AS (
        SELECT place, first_id, lead(first_id) OVER (ORDER BY place) AS next_id FROM cuts),
      planned AS MATERIALIZED (
        SELECT place, first_id,
          CASE WHEN next_id IS NOT NULL
            THEN (SELECT \(id) FROM \(relation) WHERE \(id) < r.next_id ORDER BY \(id) DESC LIMIT 1)
            ELSE (SELECT \(id) FROM \(relation) WHERE \(id) <= $5 ORDER BY \(id) DESC LIMIT 1) END AS last_id,
          CASE WHEN next_id IS NOT NULL THEN $4
            ELSE (SELECT count(*) FROM \(relation) WHERE \(id) >= r.first_id AND \(id) <= $5) END AS count
        FROM ranges r WHERE first_id IS NOT NULL AND place < $6),
      moved AS (
        UPDATE chancery.jobs SET
          next_seq = next_seq + (SELECT count(*) FROM planned)::int,
          next_id = coalesce((SELECT first_id FROM cuts WHERE place = $6), next_id),
          planned = (SELECT first_id FROM cuts WHERE place = $6) IS NULL
        WHERE id = $1::uuid AND next_id = $2 AND next_seq = $3::int AND state = 'running' AND NOT planned
        RETURNING id, number, priority, next_id, next_seq, planned),
      added AS (
        INSERT INTO chancery.batches (job_id, seq, job_number, priority, first_id, last_id, count)
        SELECT m.id, $3 + p.place::int, m.number, m.priority, p.first_id, p.last_id, p.count
        FROM planned p CROSS JOIN moved m ORDER BY p.place)
      SELECT next_id, next_seq, planned FROM moved
      """)
  }
}
