public import PostgresDriver
public import Storage

/// The schema `chancery` of a database: what version it has, and bringing it to the one that this program needs.
public struct PostgresSchema: Sendable {
  private let pool: PostgresPool
  /// How long one migration may take, waiting for others included.
  private let limit: Duration

  /// The schema of the database to which `pool` connects. `limit` bounds each migration.
  public init(_ pool: PostgresPool, limit: Duration = .seconds(600)) {
    self.pool = pool
    self.limit = limit
  }

  /// Applies what was not applied, each migration in a transaction of its own; returns their versions. Callers that do so at
  /// the same time take turns.
  ///
  /// The first run also makes the roles `chancery_migrate`, `chancery_coordinator`, `chancery_keykeeper` and
  /// `chancery_logger` if it may, and gives each the rights of its service. Run it as a superuser, or as one who may create
  /// roles and schemas; later ones may run as `chancery_migrate`.
  ///
  /// Throws `schemaMismatch` when the database is newer than this program, or a migration was applied with another text.
  public func migrate() async throws(StorageError) -> [Int32] {
    try await transaction { connection, deadline in
      for script in [Bootstrap.roles, Bootstrap.becomeOwner, Bootstrap.ledger] {
        try await connection.execute(script, deadline: deadline)
      }
    }
    var applied: [Int32] = []
    for migration in Migration.all {
      let isNew = try await transaction { connection, deadline in
        try await Self.apply(migration, connection, deadline)
      }
      if isNew { applied.append(migration.version) }
    }
    try await requireCurrent()
    return applied
  }

  /// What was applied, and what is left to apply.
  public func status() async throws(StorageError) -> SchemaStatus {
    let applied = try await applied()
    let known = Migration.all.map { migration in
      let row = applied.first { $0.version == migration.version }
      return SchemaStatus.Step(
        version: migration.version, name: migration.name, appliedAt: row?.appliedAt,
        isChanged: row.map { !$0.isUnchanged } ?? false)
    }
    let newer = applied.filter { $0.version > Migration.latest }.map {
      SchemaStatus.Step(version: $0.version, name: $0.name, appliedAt: $0.appliedAt, isChanged: false)
    }
    return SchemaStatus(needed: Migration.latest, steps: known + newer)
  }

  /// Throws `schemaMismatch`, naming both versions and the remedy, unless the database has exactly the version that this
  /// program needs.
  public func requireCurrent() async throws(StorageError) {
    let status = try await status()
    if let changed = status.steps.first(where: \.isChanged) {
      throw StorageError(
        .schemaMismatch,
        "migration \(changed.version) (\(changed.name)) was applied to this database with another text than this program "
          + "has: use the program that applied it")
    }
    guard status.current != status.needed else { return }
    let remedy =
      status.current > status.needed ? "upgrade this program" : "run `chancery db migrate`, as a role that may"
    let found = status.current == 0 ? "has no schema of this program" : "has schema version \(status.current)"
    throw StorageError(
      .schemaMismatch, "the database \(found), and this program needs version \(status.needed): \(remedy)")
  }

  private static func apply(
    _ migration: Migration, _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant
  ) async throws -> Bool {
    let known = try await connection.query(
      "SELECT checksum = encode(sha256(convert_to($2, 'UTF8')), 'hex') FROM chancery.schema_migrations WHERE version = $1",
      [.int32(migration.version), .text(migration.sql)], deadline: deadline)
    if known.rowCount > 0 { return false }
    try await connection.execute(Bootstrap.becomeOwner, deadline: deadline)
    try await connection.execute(migration.sql, deadline: deadline)
    _ = try await connection.query(
      """
      INSERT INTO chancery.schema_migrations (version, name, checksum)
      VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))
      """, [.int32(migration.version), .text(migration.name), .text(migration.sql)], deadline: deadline)
    return true
  }

  private func transaction<T: Sendable>(
    _ body: @Sendable (PostgresConnection, ContinuousClock.Instant) async throws -> T
  ) async throws(StorageError) -> T {
    let deadline = ContinuousClock.now + limit
    do {
      return try await pool.withConnection(deadline: deadline) { connection in
        try await connection.transaction(deadline: deadline) { connection in
          // One after another, in all processes; the number is "chancery" in ASCII.
          _ = try await connection.query("SELECT pg_advisory_xact_lock(7163082334074663545)", deadline: deadline)
          return try await body(connection, deadline)
        }
      }
    } catch {
      throw StorageError(from: error)
    }
  }

  private struct Applied {
    var version: Int32
    var name: String
    var appliedAt: PostgresTimestamp
    var isUnchanged: Bool
  }

  private func applied() async throws(StorageError) -> [Applied] {
    do {
      let result = try await pool.query(
        """
        SELECT m.version, m.name, m.applied_at, m.checksum = encode(sha256(convert_to(k.sql, 'UTF8')), 'hex')
        FROM chancery.schema_migrations m LEFT JOIN unnest($1::int[], $2::text[]) k(version, sql) USING (version)
        ORDER BY m.version
        """,
        [.int32Array(Migration.all.map(\.version)), .textArray(Migration.all.map(\.sql))], deadline: .now + limit)
      return try result.map { row in
        Applied(
          version: try result.int32(row, 0), name: try result.text(row, 1), appliedAt: try result.timestamp(row, 2),
          isUnchanged: try result.optionalBool(row, 3) ?? true)
      }
    } catch let error as PostgresError where error.sqlState == .undefinedTable || error.sqlState == .undefinedSchema {
      return []
    } catch {
      throw StorageError(from: error)
    }
  }
}

/// How far a database has been migrated.
public struct SchemaStatus: Sendable, Hashable {
  /// One migration.
  public struct Step: Sendable, Hashable {
    /// Counted from 1.
    public var version: Int32
    /// What it is about.
    public var name: String
    /// When it was applied; nil if it was not.
    public var appliedAt: PostgresTimestamp?
    /// Whether it was applied with another text than this program has.
    public var isChanged: Bool

    /// Makes a step.
    public init(version: Int32, name: String, appliedAt: PostgresTimestamp?, isChanged: Bool) {
      self.version = version
      self.name = name
      self.appliedAt = appliedAt
      self.isChanged = isChanged
    }
  }

  /// The version that this program needs.
  public var needed: Int32
  /// All migrations that this program or the database knows, in order.
  public var steps: [Step]

  /// Makes a status.
  public init(needed: Int32, steps: [Step]) {
    self.needed = needed
    self.steps = steps
  }

  /// The version that the database has; 0 for none.
  public var current: Int32 { steps.filter { $0.appliedAt != nil }.map(\.version).max() ?? 0 }
}
