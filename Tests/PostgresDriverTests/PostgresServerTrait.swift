import DedicatedThreads
import LocalServers
import PostgresDriver
import Testing

/// Starts one real PostgreSQL server for all tests of a suite and removes it after the last.
struct PostgresServerTrait: SuiteTrait, TestScoping {
  @TaskLocal static var server: PrivatePostgres?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    var options = PrivatePostgres.Options()
    // For the test that prepares statements in two sessions and for those that run at the same time.
    options.connections = 200
    try await PrivatePostgres.with(options) { server in
      try await Self.$server.withValue(server) { try await function() }
    }
  }
}

extension Trait where Self == PostgresServerTrait {
  static var postgresServer: Self { Self() }
}

/// The configuration for the server of the suite.
func serverConfiguration() throws -> PostgresConfiguration {
  try PostgresConfiguration(try #require(PostgresServerTrait.server).connectionString)
}

/// Opens a connection to the server of the suite, lends it and closes it.
func withConnection<T>(_ body: (PostgresConnection) async throws -> T) async throws -> T {
  let connection = try await PostgresConnection.open(serverConfiguration())
  do {
    let value = try await body(connection)
    await connection.close()
    return value
  } catch {
    await connection.close()
    throw error
  }
}

/// Runs `body`, which must throw a `PostgresError`, and returns that.
func postgresError<T>(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> T
) async throws -> PostgresError {
  var caught: (any Error)?
  do {
    _ = try await body()
  } catch {
    caught = error
  }
  return try #require(
    caught as? PostgresError, "it threw \(String(describing: caught))", sourceLocation: sourceLocation)
}

/// Waits until something in the server holds: `condition` is asked again and again through its own connection.
func untilTrue(_ condition: String, _ connection: PostgresConnection) async throws {
  let statement = PostgresStatement("SELECT (\(condition))", isReadOnly: true)
  let deadline = ContinuousClock.now + .seconds(20)
  while true {
    if try await connection.query(statement).bool(0, 0) { return }
    try #require(ContinuousClock.now < deadline, "in vain waited until \(condition)")
  }
}
