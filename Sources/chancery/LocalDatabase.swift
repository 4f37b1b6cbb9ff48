import DedicatedThreads
import Domain
import PostgresDriver
import PostgresStorage
import RedisDriver
import ServiceHost
import Storage

/// Opening the stores from what the command line names.
enum Databases {
  /// The stores in the database at `url`, with payloads read from `readURL` if it is given; nothing is connected yet.
  /// Throws a usage error if either is no connection string.
  static func open(
    _ url: String, readURL: String? = nil, connections: Int, name: String, policy: BatchPolicy = BatchPolicy()
  ) throws -> PostgresDatabase {
    PostgresDatabase(
      primary: try configuration(url, name), replica: try readURL.map { try configuration($0, name) },
      pool: PoolLimits(connections: connections), policy: policy)
  }

  private static func configuration(_ url: String, _ name: String) throws -> PostgresConfiguration {
    do {
      var configuration = try PostgresConfiguration(url)
      configuration.applicationName = name
      return configuration
    } catch {
      throw CommandFailure.usage("database url: \(error.message)")
    }
  }

  /// Lends stores, with the schema checked, for a command.
  static func with<Value: Sendable>(
    _ url: String, _ body: (PostgresDatabase) async throws -> Value
  ) async throws -> Value {
    try await lending(url) { database in
      try await database.schema.requireCurrent()
      return try await body(database)
    }
  }

  /// Brings the schema to the version of this program; returns the versions that were applied.
  @discardableResult
  static func migrate(_ url: String) async throws -> [Int32] {
    try await lending(url) { try await $0.schema.migrate() }
  }

  /// Which migrations are applied.
  static func schemaStatus(_ url: String) async throws -> SchemaStatus {
    try await lending(url) { try await $0.schema.status() }
  }

  /// Empties a private database of records and jobs, between the rounds of a benchmark; keys stay.
  static func clearRecords(_ url: String) async throws {
    let connection = try await PostgresConnection.open(try configuration(url, "chancery-bench"))
    _ = try await connection.execute(
      """
      TRUNCATE chancery.records, chancery.signatures, chancery.record_failures, chancery.batches, chancery.jobs \
      RESTART IDENTITY;
      CHECKPOINT
      """)
    await connection.close()
  }

  private static func lending<Value: Sendable>(
    _ url: String, _ body: (PostgresDatabase) async throws -> Value
  ) async throws -> Value {
    let database = try open(url, connections: 2, name: "chancery")
    let result: Result<Value, any Error>
    do {
      result = .success(try await body(database))
    } catch let error as StorageError {
      result = .failure(CommandFailure(error))
    } catch {
      result = .failure(error)
    }
    await database.close()
    return try result.get()
  }
}
