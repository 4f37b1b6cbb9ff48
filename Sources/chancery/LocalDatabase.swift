import DedicatedThreads
import Domain
import PostgresDriver
import PostgresStorage
import RedisDriver
import ServiceHost
import Storage

/// Opening the stores from what the command line names.
enum Databases {
  /// A pool of connections to the database at `url`. Throws a usage error if that is no connection string.
  static func pool(_ url: String, connections: Int, name: String) throws -> PostgresPool {
    do {
      var configuration = try PostgresConfiguration(url)
      configuration.applicationName = name
      configuration.sessionSettings = PostgresDatabase.sessionSettings
      return PostgresPool(configuration, limits: PoolLimits(connections: connections))
    } catch {
      throw CommandFailure.usage("database url: \(error)")
    }
  }

  /// Lends stores, with the schema checked, for a command.
  static func with<Value: Sendable>(
    _ url: String, _ body: (PostgresDatabase) async throws -> Value
  ) async throws -> Value {
    try await withPool(url) { pool in
      try await PostgresSchema(pool).requireCurrent()
      return try await body(PostgresDatabase(primary: pool))
    }
  }

  /// Brings the schema to the version of this program; returns the versions that were applied.
  @discardableResult
  static func migrate(_ url: String) async throws -> [Int32] {
    try await withPool(url) { try await PostgresSchema($0).migrate() }
  }

  /// Which migrations are applied.
  static func schemaStatus(_ url: String) async throws -> SchemaStatus {
    try await withPool(url) { try await PostgresSchema($0).status() }
  }

  /// Empties a private database of records and jobs, between the rounds of a benchmark; keys stay.
  static func clearRecords(_ url: String) async throws {
    _ = try await withPool(url) { pool in
      try await pool.withConnection { connection in
        _ = try await connection.execute(
          """
          TRUNCATE chancery.records, chancery.signatures, chancery.record_failures, chancery.batches, chancery.jobs \
          RESTART IDENTITY;
          CHECKPOINT
          """)
      }
    }
  }

  private static func withPool<Value: Sendable>(
    _ url: String, _ body: (PostgresPool) async throws -> Value
  ) async throws -> Value {
    let pool = try pool(url, connections: 2, name: "chancery")
    let result: Result<Value, any Error>
    do {
      result = .success(try await body(pool))
    } catch let error as StorageError {
      result = .failure(CommandFailure(error))
    } catch let error as PostgresError {
      result = .failure(CommandFailure(error))
    } catch {
      result = .failure(error)
    }
    await pool.close()
    return try result.get()
  }
}

extension CommandFailure {
  init(_ error: PostgresError) {
    self.init(
      code: "postgres_\(error.code)", message: error.description, isRetryable: error.isRetryable, exitCode: .server)
  }
}
