import DedicatedThreads
import Domain
import LocalServers
import PostgresDriver
import PostgresStorage
import Storage
import StorageConformance
import Synchronization
import TimeAndChance

/// The Postgres stores under test, each connected as the role of its service; and a superuser's connection for what their
/// callers cannot do.
struct PostgresHarness: StorageHarness {
  /// Where the database is, as superuser.
  let target: String
  let stores: RoutedStores
  let admin: PostgresPool

  /// Lends `body` a harness on an empty database.
  static func with(
    limits: PostgresStorageLimits = PostgresStorageLimits(), _ body: (PostgresHarness) async throws -> Void
  ) async throws {
    try await TestServer.shared.withDatabase { target in
      let harness = try PostgresHarness(target, limits)
      do {
        try await body(harness)
      } catch {
        await harness.close()
        throw error
      }
      await harness.close()
    }
  }

  private init(_ target: String, _ limits: PostgresStorageLimits) throws {
    self.target = target
    let databases = try ["coordinator", "keykeeper", "logger"].map { service in
      try Self.database(target, as: "chancery_\(service)", limits)
    }
    stores = RoutedStores(coordinator: databases[0], keyKeeper: databases[1], logger: databases[2])
    admin = PostgresPool(try PostgresConfiguration(target))
  }

  /// The stores as a service makes them.
  static func database(
    _ target: String, as role: String, _ limits: PostgresStorageLimits = PostgresStorageLimits()
  ) throws -> PostgresDatabase {
    PostgresDatabase(
      primary: try PostgresConfiguration(target.replacing("user=chancery", with: "user=\(role)")),
      pool: PoolLimits(connections: 6, leaseTimeout: .seconds(60)), random: SeededRandom(seed: 7),
      policy: ConformanceCase.policy, limits: limits)
  }

  private func close() async {
    for database in [stores.coordinator, stores.keyKeeper, stores.logger] { await database.close() }
    await admin.close()
  }

  var store: any AllStores { stores }
  var coordinator: PostgresDatabase { stores.coordinator }

  func execute(_ sql: String) async throws {
    try await admin.withConnection { connection in _ = try await connection.execute(sql) }
  }

  /// The server's clock cannot be moved: what is stored is made so much older instead.
  func advance(by duration: Duration) async throws {
    let past =
      "interval '\(duration.components.seconds) seconds' "
      + "+ interval '\(duration.components.attoseconds / 1_000_000_000_000) microseconds'"
    try await execute(
      """
      UPDATE chancery.batches SET not_before = not_before - (\(past));
      UPDATE chancery.coordinators SET heartbeat_at = heartbeat_at - (\(past));
      UPDATE chancery.keys SET lease_until = lease_until - (\(past));
      """)
    try await ageEvents(byDays: Int(duration.components.seconds / 86_400))
  }

  /// Events live in partitions by day, which are moved whole.
  private func ageEvents(byDays days: Int) async throws {
    guard days > 0 else { return }
    try await execute(
      """
      DO $$
      DECLARE
        one record;
      BEGIN
        FOR one IN
          SELECT c.oid::regclass AS partition, to_date(right(c.relname, 8), 'YYYYMMDD') - \(days) AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = 'chancery.events'::regclass ORDER BY 2
        LOOP
          EXECUTE format('ALTER TABLE chancery.events DETACH PARTITION %s', one.partition);
          EXECUTE format('UPDATE %s SET stored_at = stored_at - interval ''\(24 * days) hours''', one.partition);
          EXECUTE format('ALTER TABLE %s RENAME TO %I', one.partition, 'events_' || to_char(one.day, 'YYYYMMDD'));
          EXECUTE format(
            'ALTER TABLE chancery.events ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', one.partition,
            one.day::timestamp AT TIME ZONE 'UTC', (one.day + 1)::timestamp AT TIME ZONE 'UTC');
        END LOOP;
      END $$;
      """)
  }

  func addSource(named name: String, rows: [SourceRow]) async throws -> Source {
    try await execute(
      """
      CREATE SCHEMA IF NOT EXISTS "Customer's";
      CREATE TABLE "Customer's"."\(name) table" ("the id" bigint NOT NULL UNIQUE, "Payload" bytea NOT NULL);
      GRANT USAGE ON SCHEMA "Customer's" TO chancery_coordinator, chancery_migrate;
      GRANT SELECT ON "Customer's"."\(name) table" TO chancery_coordinator;
      """)
    let owner = try Self.database(target, as: "chancery_migrate")
    let source = try await owner.addSource(
      named: name, relation: "\"Customer's\".\"\(name) table\"", idColumn: "\"the id\"", payloadColumn: "\"Payload\"")
    await owner.close()
    try await replaceRows(of: source, with: rows)
    return source
  }

  func replaceRows(of source: Source, with rows: [SourceRow]) async throws {
    try await execute("DELETE FROM \(source.relation)")
    let insert = PostgresStatement(
      "INSERT INTO \(source.relation) SELECT * FROM unnest($1::bigint[], $2::bytea[])")
    _ = try await admin.query(insert, [.int64Array(rows.map(\.id)), .byteaArray(rows.map(\.payload))])
  }

  func inflict(_ damage: Damage) async throws {
    switch damage {
    case .lostSignature(let record):
      try await execute("DELETE FROM chancery.signatures WHERE record_id = \(record)")
    case .secondSignature(let record):
      try await execute(
        """
        ALTER TABLE chancery.signatures DROP CONSTRAINT signatures_pkey;
        INSERT INTO chancery.signatures SELECT * FROM chancery.signatures WHERE record_id = \(record);
        """)
    case .foreignSignature(let record, let key):
      try await execute("UPDATE chancery.signatures SET key_id = \(key) WHERE record_id = \(record)")
    case .unknownLease(let job, let seq, let lease):
      try await execute(
        "UPDATE chancery.batches SET lease_id = '\(lease)' WHERE job_id = '\(job)' AND seq = \(seq)")
    case .lateCommit(let job, let seq):
      try await execute(
        """
        UPDATE chancery.batches SET signed_at = clock_timestamp(),
          signed_lsn = (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint
        WHERE job_id = '\(job)' AND seq = \(seq)
        """)
    case .wrongCount(let job, let seq, let inserted):
      try await execute(
        """
        UPDATE chancery.batches SET inserted = \(inserted) WHERE job_id = '\(job)' AND seq = \(seq);
        UPDATE chancery.jobs SET total_signed = NULL, total_planned = NULL WHERE id = '\(job)'
        """)
    case .batchSize(let job, let size):
      try await execute("UPDATE chancery.jobs SET batch_size = \(size) WHERE id = '\(job)'")
    }
  }
}
