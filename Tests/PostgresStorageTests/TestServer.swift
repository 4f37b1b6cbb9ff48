import DedicatedThreads
import LocalServers
import PostgresDriver
import PostgresStorage

/// One private server for all tests of the process, started when the first needs it and ended with the process.
actor TestServer {
  static let shared = TestServer()

  private static let template = "template_migrated"
  /// How many tests may have a database at a time: each has its own connections.
  private static let limit = 4

  private var server: Task<(PrivatePostgres, PostgresPool), any Error>?
  private var made = 0
  private var names = 0
  private var idle: [String] = []
  private var waiting: [CheckedContinuation<String, Never>] = []

  /// Lends a database with the schema and nothing in it: where it is, as superuser.
  nonisolated func withDatabase(_ body: (String) async throws -> Void) async throws {
    let target = try await take()
    do {
      try await Self.empty(target)
      try await body(target)
    } catch {
      await giveBack(target)
      throw error
    }
    await giveBack(target)
  }

  /// Lends a new database without the schema.
  nonisolated func withNewDatabase(_ body: (String) async throws -> Void) async throws {
    let target = try await make(from: "template1")
    try await body(target)
  }

  private func take() async throws -> String {
    if let target = idle.popLast() { return target }
    if made < Self.limit {
      made += 1
      return try await make(from: Self.template)
    }
    return await withCheckedContinuation { waiting.append($0) }
  }

  private func giveBack(_ target: String) {
    if waiting.isEmpty { idle.append(target) } else { waiting.removeFirst().resume(returning: target) }
  }

  private func make(from template: String) async throws -> String {
    names += 1
    let name = "test_\(names)"
    let (server, admin) = try await started()
    try await admin.withConnection { connection in
      _ = try await connection.execute("CREATE DATABASE \(name) TEMPLATE \(template)")
    }
    return Self.target(server, name)
  }

  /// Removes what an earlier test has left. To make a database anew for each takes half a second.
  private nonisolated static func empty(_ target: String) async throws {
    let pool = PostgresPool(try PostgresConfiguration(target))
    try await pool.withConnection { connection in
      _ = try await connection.execute(
        """
        DROP SCHEMA IF EXISTS "Customer's" CASCADE;
        DO $$
        DECLARE
          everything text := (
            SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c
            WHERE c.relnamespace = 'chancery'::regnamespace AND c.relkind IN ('r', 'p')
              AND c.relname NOT IN ('schema_migrations'));
          counter regclass;
        BEGIN
          EXECUTE 'TRUNCATE ' || everything || ' RESTART IDENTITY';
          FOR counter IN SELECT oid FROM pg_class WHERE relnamespace = 'chancery'::regnamespace AND relkind = 'S' LOOP
            EXECUTE format('ALTER SEQUENCE %s RESTART', counter);
          END LOOP;
          INSERT INTO chancery.sources (name, relation, id_column, payload_column)
            VALUES ('records', 'chancery.records', 'id', 'payload');
          IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'signatures_pkey') THEN
            ALTER TABLE chancery.signatures ADD PRIMARY KEY (source_id, record_id);
          END IF;
        END $$;
        """)
    }
    await pool.close()
  }

  private static func target(_ server: PrivatePostgres, _ name: String) -> String {
    server.connectionString.replacing("dbname=postgres", with: "dbname=\(name)")
  }

  private func started() async throws -> (PrivatePostgres, PostgresPool) {
    if let server { return try await server.value }
    let task = Task {
      let server = try await PrivatePostgres.start()
      // One connection: databases are made one after another.
      let admin = PostgresPool(
        try PostgresConfiguration(server.connectionString),
        limits: PoolLimits(connections: 1, leaseTimeout: .seconds(60)))
      try await admin.withConnection { connection in
        _ = try await connection.execute("CREATE DATABASE \(Self.template)")
      }
      let pool = PostgresPool(try PostgresConfiguration(Self.target(server, Self.template)))
      _ = try await PostgresSchema(pool).migrate()
      // A database that is copied must have no connections.
      await pool.close()
      return (server, admin)
    }
    server = task
    return try await task.value
  }
}
