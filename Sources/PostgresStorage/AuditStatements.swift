import PostgresDriver
import Storage

/// What an audit asks. Each row of an answer: how many were checked, how many broke the promise, how many cannot be decided,
/// and some of those that broke it.
enum AuditStatements {
  /// For the transaction of an audit, which reads whole tables and runs each statement once.
  static let settings = """
    SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_mergejoin = on; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL work_mem = '64MB'
    """

  /// Up to so many of the examples of rows `x` that are not null.
  private static func examples(_ text: String, where condition: String) -> String {
    "coalesce((array_agg(\(text)) FILTER (WHERE \(condition)))[1:\(AuditReport.Finding.maximumExamples)], '{}')"
  }

  /// Jobs that are done although some of their batches are open or not planned.
  static let endedEarly = PostgresStatement(
    """
    SELECT 0::bigint, count(*), 0::bigint,
      \(examples("format('job %s is done, and not all of its batches have ended', x.id)", where: "true"))
    FROM chancery.jobs x
    WHERE x.state = 'done' AND (NOT x.planned OR EXISTS (
      SELECT FROM chancery.batches b WHERE b.job_id = x.id AND b.state IN ('pending', 'leased')))
    """, isReadOnly: true)

  /// Records of jobs that are done without a signature or a failure in the job. $1 source.
  static func lost(_ source: SourceSQL) -> PostgresStatement {
    let message = "format('record %s of job %s, which is done, is neither signed nor failed', x.record_id, x.job_id)"
    return PostgresStatement(
      """
      WITH done AS MATERIALIZED (
        SELECT id, record_bound FROM chancery.jobs WHERE source_id = $1::int AND state = 'done'),
      unsigned AS (
        SELECT r.\(source.id) AS id FROM \(source.relation) r
        WHERE r.\(source.id) <= (SELECT max(record_bound) FROM done) AND NOT EXISTS (
          SELECT FROM chancery.signatures s WHERE s.source_id = $1 AND s.record_id = r.\(source.id))),
      x AS (
        SELECT u.id AS record_id, d.id AS job_id FROM unsigned u JOIN done d ON u.id <= d.record_bound
        WHERE NOT EXISTS (
            SELECT FROM chancery.record_failures f
            WHERE f.job_id = d.id AND f.source_id = $1 AND f.record_id = u.id)
          AND NOT EXISTS (
            SELECT FROM chancery.batches b
            WHERE b.job_id = d.id AND b.seq = chancery.batch_from(d.id, u.id) AND b.first_id <= u.id
              AND b.state = 'failed'))
      SELECT
        (SELECT coalesce(sum(b.count), 0)::bigint FROM done d JOIN chancery.batches b ON b.job_id = d.id),
        count(*), 0::bigint, \(examples(message, where: "true"))
      FROM x
      """, isReadOnly: true)
  }

  /// Records with several signatures, or the lack of the key that forbids it.
  static let signedOnce = PostgresStatement(
    """
    WITH g AS (
      SELECT source_id, record_id, count(*) AS n FROM chancery.signatures GROUP BY source_id, record_id),
    x AS (
      SELECT n, CASE WHEN n > 1 THEN format('record %s of source %s', record_id, source_id) END AS problem FROM g
      UNION ALL
      SELECT 0, 'chancery.signatures has no valid unique key on source and record'
      WHERE NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = 'chancery.signatures'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND i.indnkeyatts = 2 AND i.indkey::int[] @> (
            SELECT array_agg(a.attnum::int) FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attname IN ('source_id', 'record_id'))))
    SELECT coalesce(sum(n), 0)::bigint, count(problem), 0::bigint, \(examples("problem", where: "problem IS NOT NULL"))
    FROM x
    """, isReadOnly: true)

  /// Every commit lies between the grant of its lease and whatever took the next epoch, by the write-ahead log. Where only
  /// the log says otherwise and the clock does not, the database was restored from a dump and its log began anew.
  static let keyExclusive = PostgresStatement(
    """
    WITH leases AS (
      SELECT key_id, epoch, lease_id, holder, granted_lsn, granted_at,
        lead(granted_lsn) OVER rising AS next_lsn, lead(granted_at) OVER rising AS next_at
      FROM chancery.key_leases WINDOW rising AS (PARTITION BY key_id ORDER BY epoch)),
    signed AS (
      SELECT b.job_id, b.seq, b.key_id, l.lease_id,
        b.signed_lsn < l.granted_lsn OR b.signed_lsn > least(l.next_lsn, c.lsn) AS is_outside,
        b.signed_at < l.granted_at OR b.signed_at > least(l.next_at, c.changed_at) AS seems_outside
      FROM chancery.batches b
      LEFT JOIN leases l
        ON l.key_id = b.key_id AND l.epoch = b.key_epoch AND l.lease_id = b.lease_id AND l.holder = b.signer
      LEFT JOIN LATERAL (
        SELECT k.lsn, k.changed_at FROM chancery.key_changes k
        WHERE k.key_id = l.key_id AND k.lsn > l.granted_lsn AND k.state = 'disabled' ORDER BY k.lsn LIMIT 1) c ON true
      WHERE b.state = 'signed'),
    x AS (
      SELECT is_outside AND NOT seems_outside AS is_open, CASE
        WHEN lease_id IS NULL
          THEN format('batch %s/%s was signed under a lease that its signer never had', job_id, seq)
        WHEN is_outside AND seems_outside
          THEN format('batch %s/%s was signed by key %s outside of the lease %s', job_id, seq, key_id, lease_id)
        END AS problem
      FROM signed)
    SELECT count(*), count(problem), count(*) FILTER (WHERE is_open),
      \(examples("problem", where: "problem IS NOT NULL"))
    FROM x
    """, isReadOnly: true)

  /// Two rows, from one look at the signatures: whether those of a batch are all by its key; and whether the counts of
  /// batches and jobs agree with what is stored.
  static let signatures = PostgresStatement(
    """
    WITH stored AS (
      SELECT job_id, batch_seq AS seq, count(*) AS n, min(key_id) AS low, max(key_id) AS high,
        min(key_epoch) AS first, max(key_epoch) AS last
      FROM chancery.signatures GROUP BY job_id, batch_seq),
    alone AS (
      SELECT job_id, batch_seq AS seq, count(*) AS n FROM chancery.record_failures GROUP BY job_id, batch_seq),
    both_sides AS MATERIALIZED (
      SELECT coalesce(b.job_id, s.job_id) AS job_id, coalesce(b.seq, s.seq) AS seq, coalesce(s.n, 0) AS n,
        b.job_id IS NOT NULL AS is_batch,
        s.n > 0 AND (b.key_id, b.key_id, b.key_epoch, b.key_epoch) IS DISTINCT FROM (s.low, s.high, s.first, s.last)
          AS is_mixed,
        b.inserted, b.already, b.failed, b.count,
        coalesce(s.n, 0) <> b.inserted OR coalesce(a.n, 0) > b.failed
          OR b.inserted + b.already + b.failed <> CASE WHEN b.state = 'signed' THEN b.count ELSE 0 END AS is_off
      FROM chancery.batches b
      FULL JOIN stored s ON s.job_id = b.job_id AND s.seq = b.seq
      LEFT JOIN alone a ON a.job_id = b.job_id AND a.seq = b.seq),
    totals AS (
      SELECT j.id FROM chancery.jobs j
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(b.count), 0) AS planned, coalesce(sum(b.inserted), 0) AS signed,
          coalesce(sum(b.already), 0) AS already
        FROM chancery.batches b WHERE b.job_id = j.id) b
      WHERE j.total_planned IS NOT NULL
        AND (j.total_planned, j.total_signed, j.total_already) <> (b.planned, b.signed, b.already)),
    x AS (
      SELECT 1 AS place, n AS checked,
        CASE WHEN is_mixed THEN format('batch %s/%s has signatures by another key than its own', job_id, seq) END
          AS problem
      FROM both_sides
      UNION ALL
      SELECT 2, 1, CASE WHEN is_off THEN format(
        'batch %s/%s counts %s signed, %s already signed and %s failed of %s; %s signatures are stored', job_id, seq,
        inserted, already, failed, count, n) END
      FROM both_sides WHERE is_batch
      UNION ALL
      SELECT 2, 0, format('job %s has other totals than its batches', id) FROM totals)
    SELECT coalesce(sum(x.checked), 0)::bigint, count(x.problem), 0::bigint,
      \(examples("x.problem", where: "x.problem IS NOT NULL"))
    FROM generate_series(1, 2) p(place) LEFT JOIN x USING (place) GROUP BY place ORDER BY place
    """, isReadOnly: true)

  /// All batches of a job but the last have its size. Those of a mapped table may have been counted anew.
  static let batchSize = PostgresStatement(
    """
    WITH x AS (
      SELECT j.id, j.batch_size, EXISTS (
        SELECT FROM chancery.batches b
        WHERE b.job_id = j.id
          AND CASE
            WHEN b.count > j.batch_size THEN s.name = 'records'
            ELSE b.count < j.batch_size AND b.seq < j.next_seq - 1 END) AS is_off
      FROM chancery.jobs j JOIN chancery.sources s ON s.id = j.source_id)
    SELECT count(*), count(*) FILTER (WHERE is_off), 0::bigint,
      \(examples("format('job %s has batches that are not of its batch size, %s', id, batch_size)", where: "is_off"))
    FROM x
    """, isReadOnly: true)

  /// The trail of key use as `LeaseReplay` reads it.
  ///
  /// A key is not free from a pick on, or if it was leased when a cache took it up. It is free again by the decision that
  /// was written down for its lease; if none was, the next pick of the key in the same generation says since when.
  static let leaseTrail = PostgresStatement(
    """
    WITH uses AS (
      SELECT key_id, granted_generation AS generation, granted_sequence AS sequence, 2::smallint AS kind,
        granted_rank AS rank, lease_id, granted_lsn AS lsn, freed_generation, freed_sequence
      FROM chancery.key_leases
      UNION ALL
      SELECT d.key_id, d.generation, d.sequence, d.kind, d.rank, d.lease_id, d.lsn, x.freed_generation, x.freed_sequence
      FROM chancery.key_decisions d LEFT JOIN chancery.key_leases x ON x.lease_id = d.lease_id
      WHERE d.kind IN (3, 4)),
    placed AS (
      SELECT u.*, lead(u.generation) OVER rising AS next_generation, lead(u.rank) OVER rising AS next_rank,
        lead(u.kind) OVER rising AS next_kind,
        min(u.lsn) FILTER (WHERE u.kind = 2) OVER (PARTITION BY u.generation ORDER BY u.sequence DESC) AS made_before,
        u.lease_id IS NOT NULL AND u.lease_id = k.lease_id AND k.lease_until >= clock_timestamp() AS is_live
      FROM uses u LEFT JOIN chancery.keys k ON k.id = u.key_id
      WINDOW rising AS (PARTITION BY u.key_id ORDER BY u.generation, u.sequence)),
    ended AS (
      SELECT p.*, CASE
        WHEN freed_generation = generation THEN freed_sequence
        WHEN freed_generation IS NULL AND next_generation = generation AND next_kind IN (2, 3) AND next_rank > sequence
          THEN next_rank END AS freed
      FROM placed p),
    events AS (
      SELECT generation, sequence, kind, key_id, rank, NULL::bigint AS from_lsn,
        CASE WHEN kind = 2 THEN made_before END AS made_before,
        freed IS NOT NULL OR freed_generation IS NOT NULL OR coalesce(is_live, false) AS is_end_known
      FROM ended
      UNION ALL
      SELECT generation, freed, 1::smallint, key_id, freed, lsn, NULL, true FROM ended WHERE freed IS NOT NULL
      UNION ALL
      SELECT generation, sequence, kind, key_id, rank, CASE WHEN kind = 1 THEN lsn END, NULL, true
      FROM chancery.key_decisions WHERE kind IN (0, 1, 5))
    SELECT e.generation, e.sequence, e.kind, e.key_id, e.rank, (
        SELECT min(c.lsn) FROM chancery.key_changes c
        WHERE c.key_id = e.key_id AND c.lsn > e.from_lsn AND c.state <> 'active'),
      e.made_before, e.is_end_known
    FROM events e ORDER BY e.generation, e.sequence, e.kind, e.key_id
    """, isReadOnly: true)
}
