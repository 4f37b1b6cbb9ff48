import Domain
import PostgresDriver
import Storage

/// Grants and ends of leases. Whoever locks several keys does so in the order of their ids.
enum LeaseStatements {
  /// Of `chancery.keys k`, as `LeasedKeyState` has them. A lease that was released has ended at `-infinity`; time left is in
  /// microseconds, and none where there is no lease.
  static let columns = """
    k.id, k.algorithm, k.state = 'active', k.epoch, k.cache_generation,
      CASE WHEN k.lease_until > '-infinity' THEN k.lease_id END,
      CASE WHEN k.lease_until > '-infinity'
        THEN (extract(epoch FROM k.lease_until - clock_timestamp()) * 1000000)::bigint ELSE 0 END
    """

  static let states = PostgresStatement(
    "SELECT \(columns) FROM chancery.keys k WHERE k.id = ANY ($1::bigint[])", isReadOnly: true)

  /// Returns the epoch if the lease is granted. If not, the pick that came to nothing is put into the trail, or else an
  /// audit would take it for a key left out. A grant that was made before is answered again: its answer may have been lost.
  static func grant(_ request: GrantRequest) -> PostgresRequest {
    PostgresRequest(
      grant,
      [
        .id(request.keyID), .epoch(request.epoch), .id(request.leaseID), .id(request.holder), .duration(request.ttl),
        .int64(request.decision.generation), .int64(request.decision.sequence), .int64(request.rank),
      ])
  }

  private static let grant = PostgresStatement(
    """
    WITH g AS (
      UPDATE chancery.keys
      SET epoch = epoch + 1, lease_id = $3::uuid, lease_until = clock_timestamp() + $5::interval
      WHERE id = $1::bigint AND state = 'active' AND epoch = $2::bigint AND lease_until < clock_timestamp()
        AND cache_generation = $6::bigint
      RETURNING id, epoch, lease_id),
    o AS (
      UPDATE chancery.key_leases x SET outcome = 'superseded', ended_at = clock_timestamp() FROM g
      WHERE x.key_id = g.id AND x.epoch = g.epoch - 1 AND x.outcome IS NULL),
    i AS (
      INSERT INTO chancery.key_leases
        (key_id, epoch, lease_id, holder, granted_generation, granted_sequence, granted_rank)
      SELECT id, epoch, lease_id, $4::uuid, $6, $7::bigint, $8::bigint FROM g RETURNING epoch),
    again AS (
      SELECT x.epoch FROM chancery.key_leases x JOIN chancery.keys k ON k.id = x.key_id AND k.epoch = x.epoch
      WHERE x.key_id = $1 AND x.epoch = $2 + 1 AND x.lease_id = $3),
    f AS (
      INSERT INTO chancery.key_decisions (generation, sequence, key_id, kind, rank)
      SELECT $6, $7, $1, \(LeaseReplay.Event.Kind.failedPick.rawValue), $8
      WHERE NOT EXISTS (SELECT FROM i) AND NOT EXISTS (SELECT FROM again)
      ON CONFLICT DO NOTHING)
    SELECT epoch FROM i UNION ALL SELECT epoch FROM again
    """)

  static let renew: PostgresStatement = """
    UPDATE chancery.keys SET lease_until = clock_timestamp() + $3::interval
    WHERE id = $1::bigint AND lease_id = $2::uuid AND lease_until >= clock_timestamp()
    """

  /// Nobody waits for it to be on disk. A crash of the server may undo it, and then with all that came after it: the key
  /// counts as leased until the lease expires.
  static let end: PostgresStatement = """
    WITH l AS MATERIALIZED (
      SELECT k.id, k.epoch, k.lease_id FROM chancery.keys k
      JOIN (SELECT DISTINCT * FROM unnest($1::bigint[], $2::uuid[]) u(key_id, lease_id)) w
        ON k.id = w.key_id AND k.lease_id = w.lease_id
      ORDER BY k.id FOR NO KEY UPDATE OF k),
    k AS (
      UPDATE chancery.keys k SET lease_until = '-infinity' FROM l WHERE k.id = l.id AND k.lease_id = l.lease_id
      RETURNING k.id, k.epoch, k.lease_id),
    x AS (
      UPDATE chancery.key_leases x SET outcome = 'released', ended_at = clock_timestamp() FROM k
      WHERE x.key_id = k.id AND x.epoch = k.epoch AND x.outcome IS NULL)
    SELECT lease_id, set_config('synchronous_commit', 'off', true) FROM k
    """

  /// Of a lease that was never granted, the cache has freed the key all the same.
  static let record = PostgresStatement(
    """
    WITH r AS MATERIALIZED (
      SELECT DISTINCT ON (u.lease_id) u.*, x.key_id AS known
      FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[]) WITH ORDINALITY
        u(key_id, lease_id, generation, sequence, expired, place)
      LEFT JOIN chancery.key_leases x ON x.lease_id = u.lease_id AND x.key_id = u.key_id
      ORDER BY u.lease_id, u.place),
    l AS MATERIALIZED (
      SELECT x.lease_id FROM chancery.key_leases x JOIN r ON r.lease_id = x.lease_id AND r.key_id = x.key_id
      WHERE x.freed_sequence IS NULL ORDER BY x.key_id, x.epoch FOR NO KEY UPDATE OF x),
    known AS (
      UPDATE chancery.key_leases x
      SET freed_generation = r.generation, freed_sequence = r.sequence,
        outcome = CASE WHEN r.expired THEN 'expired' ELSE 'released' END,
        ended_at = coalesce(x.ended_at, clock_timestamp())
      FROM r JOIN l ON l.lease_id = r.lease_id WHERE x.lease_id = l.lease_id AND x.freed_sequence IS NULL)
    INSERT INTO chancery.key_decisions (generation, sequence, key_id, kind, rank)
    SELECT generation, sequence, key_id, \(LeaseReplay.Event.Kind.free.rawValue), sequence FROM r
    WHERE known IS NULL ORDER BY generation, sequence, key_id
    ON CONFLICT DO NOTHING
    """)
}

/// What the caches begin and take up.
enum GenerationStatements {
  static let mint: PostgresStatement = """
    INSERT INTO chancery.generations AS g (algorithm, generation)
    VALUES ($1::smallint, nextval('chancery.cache_generations'))
    ON CONFLICT (algorithm) DO UPDATE SET generation = nextval('chancery.cache_generations')
    RETURNING generation
    """

  static let mark: PostgresStatement = """
    WITH l AS MATERIALIZED (
      SELECT id FROM chancery.keys WHERE algorithm = $1::smallint ORDER BY id FOR NO KEY UPDATE)
    UPDATE chancery.keys k SET cache_generation = $2::bigint FROM l WHERE k.id = l.id
    """

  /// The active keys, never used ones first, then by their last release, or grant where no release was written down.
  static let order = PostgresStatement(
    """
    SELECT \(LeaseStatements.columns)
    FROM chancery.keys k
    LEFT JOIN LATERAL (
      SELECT coalesce(x.freed_generation, x.granted_generation) AS generation,
        coalesce(x.freed_sequence, x.granted_sequence) AS sequence
      FROM chancery.key_leases x WHERE x.key_id = k.id ORDER BY x.epoch DESC LIMIT 1) used ON true
    WHERE k.algorithm = $1::smallint AND k.state = 'active'
    ORDER BY used.generation NULLS FIRST, used.sequence, k.id
    """)

  /// Holds a generation, if it is still the newest of its algorithm, until the transaction ends.
  static let hold: PostgresStatement =
    "SELECT algorithm FROM chancery.generations WHERE generation = $1::bigint FOR SHARE"

  /// Makes active keys of an algorithm grantable under a generation.
  static let join = PostgresStatement(
    """
    WITH l AS MATERIALIZED (
      SELECT k.id FROM chancery.keys k
      WHERE k.id = ANY ($1::bigint[]) AND k.state = 'active' AND k.algorithm = $3::smallint
      ORDER BY k.id FOR NO KEY UPDATE)
    UPDATE chancery.keys k SET cache_generation = $2::bigint FROM l WHERE k.id = l.id AND k.state = 'active'
    RETURNING \(LeaseStatements.columns)
    """)

  static let note: PostgresStatement = """
    INSERT INTO chancery.key_decisions (generation, sequence, key_id, kind, rank, lease_id)
    SELECT $1::bigint, $2::bigint, u.key_id, u.kind, u.rank, u.lease_id::uuid
    FROM unnest($3::bigint[], $4::int[], $5::bigint[], $6::text[]) u(key_id, kind, rank, lease_id)
    ORDER BY u.key_id
    ON CONFLICT DO NOTHING
    """
}
