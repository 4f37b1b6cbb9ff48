import LocalServers
import RedisDriver
import Testing

/// Starts one real Redis server for all tests of a suite and removes it after the last.
struct RedisServerTrait: SuiteTrait, TestScoping {
  @TaskLocal static var server: PrivateRedis?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await PrivateRedis.with { server in
      try await Self.$server.withValue(server) { try await function() }
    }
  }
}

extension Trait where Self == RedisServerTrait {
  static var redisServer: Self { Self() }
}

/// The configuration for the server of the suite.
func serverConfiguration() throws -> RedisConfiguration {
  try RedisConfiguration(try #require(RedisServerTrait.server).connectionString)
}

/// Opens a connection, by default to the server of the suite, lends it and closes it.
func withConnection<T>(
  _ configuration: RedisConfiguration? = nil, _ body: (RedisConnection) async throws -> T
) async throws -> T {
  let connection = try await RedisConnection.open(configuration ?? serverConfiguration())
  do {
    let value = try await body(connection)
    await connection.close()
    return value
  } catch {
    await connection.close()
    throw error
  }
}

/// Runs `body`, which must throw a `RedisError`, and returns that.
func redisError<T>(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> T
) async throws -> RedisError {
  var caught: (any Error)?
  do {
    _ = try await body()
  } catch {
    caught = error
  }
  return try #require(caught as? RedisError, "it threw \(String(describing: caught))", sourceLocation: sourceLocation)
}
