import DedicatedThreads
import LocalServers
import PostgresDriver
import Testing

/// Proves what becomes of connections and pools when the server crashes, restarts, ends a session, refuses one or wants another
/// password. Each test has a server of its own and harms it for real.
@Suite(.timeLimit(.minutes(2)))
struct FailureTests {
  private static let select = PostgresStatement("SELECT 1", isReadOnly: true)

  private func makePool(
    _ server: PrivatePostgres, connections: Int = 4, waiters: Int = 100, timeout: Duration = .seconds(30)
  ) throws -> PostgresPool {
    PostgresPool(
      try PostgresConfiguration(server.connectionString),
      limits: PoolLimits(
        connections: connections, waiters: waiters, leaseTimeout: timeout,
        backoff: Backoff(initial: .milliseconds(5), maximum: .milliseconds(50))),
      random: { 0.5 })
  }

  @Test func `a crash in mid-query is a typed error, and the pool recovers after the restart`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server)
      let asked: [(PostgresStatement, PostgresError.Code)] = [
        ("SELECT pg_sleep(60)", .commitOutcomeUnknown),
        (PostgresStatement("SELECT pg_sleep(60) -- reads", isReadOnly: true), .connectionLost),
      ]
      let tasks = asked.map { statement, _ in Task { _ = try await pool.query(statement) } }
      let transaction = Task {
        try await pool.withConnection { connection in
          try await connection.transaction { _ = try await $0.query("SELECT pg_sleep(60) -- in a transaction") }
        }
      }
      let observer = try await PostgresConnection.open(PostgresConfiguration(server.connectionString))
      try await untilTrue("(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep') = 3", observer)
      try await server.kill9()
      for ((_, code), task) in zip(asked, tasks) {
        let error = try await postgresError { try await task.value }
        #expect(error.code == code, "\(error)")
        #expect(error.isRetryable == (code == .connectionLost))
      }
      // Without COMMIT nothing can have been committed.
      #expect(try await postgresError { try await transaction.value }.code == .connectionLost)

      let down = try await postgresError { try await pool.query(Self.select, deadline: .now + .milliseconds(100)) }
      #expect(down.code == .deadlineExceeded && down.message.contains("cannot connect"), "\(down)")
      #expect(pool.statistics.failedAttempts > 0)
      // These wait for the server.
      let waiting = (0..<10).map { _ in Task { try await pool.query(Self.select).int32(0, 0) } }
      try await server.restart()
      for task in waiting { #expect(try await task.value == 1) }
      #expect(pool.statistics.failedAttempts == 0 && pool.statistics.open <= 4)
      await pool.close()
    }
  }

  @Test func `sessions that an administrator ended are replaced, before use or during it`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server, connections: 2)
      let observer = try await PostgresConnection.open(PostgresConfiguration(server.connectionString))
      let first = try await pool.query("SELECT pg_backend_pid()").int32(0, 0)
      try await observer.execute("SELECT pg_terminate_backend(\(first))")
      try await untilTrue("NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = \(first))", observer)
      let second = try await pool.query("SELECT pg_backend_pid()").int32(0, 0)
      #expect(second != first)

      // Ended while it is lent and at rest: nothing was sent, so that nothing is in doubt.
      let atRest = try await postgresError {
        try await pool.withConnection { connection in
          try await observer.execute("SELECT pg_terminate_backend(\(second))")
          try await untilTrue("NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = \(second))", observer)
          _ = try await connection.query("CREATE TABLE never (id int)")
        }
      }
      #expect(atRest.code == .connectionLost && atRest.isRetryable, "\(atRest)")

      let third = try await pool.query("SELECT pg_backend_pid()").int32(0, 0)
      let task = Task { _ = try await pool.query("SELECT pg_sleep(60)") }
      try await untilTrue("EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep')", observer)
      try await observer.execute("SELECT pg_terminate_backend(\(third))")
      let error = try await postgresError { try await task.value }
      #expect(error.code == .server && error.sqlState == .adminShutdown && error.isRetryable, "\(error)")
      #expect(try await pool.query(Self.select).int32(0, 0) == 1)
      await pool.close()
    }
  }

  @Test func `a shutdown is reported, and statements wait for the server to come back`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server)
      try await pool.withConnection { connection in
        try await server.stop()
        let error = try await postgresError { try await connection.query(Self.select) }
        #expect(error.isRetryable, "\(error)")
      }
      let waiting = Task { try await pool.query(Self.select).int32(0, 0) }
      try await server.restart()
      #expect(try await waiting.value == 1)
      await pool.close()
    }
  }

  @Test func `a pipeline that is cut keeps the outcomes that arrived`() async throws {
    try await PrivatePostgres.with { server in
      let configuration = try PostgresConfiguration(server.connectionString)
      let connection = try await PostgresConnection.open(configuration)
      let observer = try await PostgresConnection.open(configuration)
      let task = Task {
        try await connection.pipeline([
          PostgresRequest(Self.select), PostgresRequest("SELECT pg_sleep(60)"), PostgresRequest("SELECT 3"),
        ])
      }
      try await untilTrue("EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep')", observer)
      try await server.kill9()
      let outcomes = try await task.value
      #expect(try outcomes[0].get().int32(0, 0) == 1)
      for outcome in outcomes.dropFirst() {
        #expect(try await postgresError { try outcome.get() }.code == .commitOutcomeUnknown)
      }
      #expect(!connection.isReusable)
    }
  }

  @Test func `a COPY that is cut is a typed error`() async throws {
    try await PrivatePostgres.with { server in
      let connection = try await PostgresConnection.open(PostgresConfiguration(server.connectionString))
      try await connection.execute("CREATE TABLE cut (id bigint)")
      let error = try await postgresError {
        try await connection.copyIn("COPY cut FROM STDIN") { writer in
          try await writer.write(Array("1\n".utf8))
          try await server.kill9()
          while true { try await writer.write(Array(repeating: Array("1\n".utf8), count: 10_000).flatMap { $0 }) }
        }
      }
      #expect(error.code == .connectionLost && error.isRetryable, "\(error)")
      try await server.restart()
      let again = try await PostgresConnection.open(PostgresConfiguration(server.connectionString))
      let out = try await postgresError {
        try await again.copyOut("COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 10000000) g) TO STDOUT") {
          _ in
          try await server.kill9()
        }
      }
      #expect(out.code == .connectionLost, "\(out)")
    }
  }

  @Test func `an exhausted pool refuses, in each of its ways, and lends in order`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server, connections: 1, waiters: 2, timeout: .seconds(1))
      try await pool.withConnection { connection in
        let timeout = try await postgresError { try await pool.query(Self.select) }
        #expect(timeout.code == .poolExhausted && timeout.isRetryable, "\(timeout)")
        let late = try await postgresError { try await pool.query(Self.select, deadline: .now + .milliseconds(5)) }
        #expect(late.code == .deadlineExceeded)
        #expect(try await connection.query(Self.select).int32(0, 0) == 1)
      }
      #expect(try await pool.query(Self.select).int32(0, 0) == 1)
      #expect(pool.statistics.open == 1 && pool.statistics.totalWaits == 2)
      await pool.close()
    }
  }

  @Test func `a server without free connections is retried until one is free`() async throws {
    var options = PrivatePostgres.Options()
    // Three of them are reserved for superusers, which the tests are: all can be used.
    options.connections = 6
    try await PrivatePostgres.with(options) { server in
      let configuration = try PostgresConfiguration(server.connectionString)
      var held: [PostgresConnection] = []
      var refusal: PostgresError?
      while refusal == nil {
        do throws(PostgresError) {
          held.append(try await PostgresConnection.open(configuration))
        } catch {
          refusal = error
        }
        try #require(held.count < 10)
      }
      #expect(
        refusal?.code == .connectionFailed && refusal?.sqlState == .tooManyConnections && refusal?.isRetryable == true)
      #expect(refusal?.message.contains("max_connections") == true)
      let pool = try makePool(server)
      let waiting = Task { try await pool.query(Self.select).int32(0, 0) }
      while pool.statistics.failedAttempts == 0 { await Task.yield() }
      await held.removeLast().close()
      #expect(try await waiting.value == 1)
      for connection in held { await connection.close() }
      await pool.close()
    }
  }

  @Test func `a connection that comes back in a transaction is replaced`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server, connections: 1)
      try await pool.withConnection { connection in
        try await connection.execute("CREATE TABLE left_open (id int)")
        try await connection.execute("BEGIN; INSERT INTO left_open VALUES (1)")
      }
      #expect(pool.statistics.open == 0)
      #expect(try await pool.query("SELECT count(*) FROM left_open").int64(0, 0) == 0)
      await pool.close()
    }
  }

  @Test func `closing a pool lets its callers finish and refuses new ones`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server, connections: 1)
      let began = AsyncStream<Void>.makeStream()
      let gate = AsyncStream<Void>.makeStream()
      let user = Task {
        try await pool.withConnection { connection in
          began.continuation.finish()
          for await _ in gate.stream {}
          return try await connection.query(Self.select).int32(0, 0)
        }
      }
      for await _ in began.stream {}
      let closing = Task { await pool.close() }
      while (try await postgresError { try await pool.query(Self.select, deadline: .now) }).code != .closed {}
      gate.continuation.finish()
      #expect(try await user.value == 1)
      await closing.value
      #expect(pool.statistics.open == 0)
      #expect(try await postgresError { try await pool.query(Self.select) }.code == .closed)
    }
  }

  @Test func `a wrong or missing password is told at once and never shown`() async throws {
    var options = PrivatePostgres.Options()
    options.requiresPassword = true
    try await PrivatePostgres.with(options) { server in
      let right = try PostgresConfiguration(server.connectionString + " password=chancery")
      let connection = try await PostgresConnection.open(right)
      #expect(try await connection.query(Self.select).int32(0, 0) == 1)
      await connection.close()
      let wrong = PostgresPool(try PostgresConfiguration(server.connectionString + " password=s3cret"))
      let error = try await postgresError { try await wrong.query(Self.select) }
      #expect(error.code == .connectionFailed && error.sqlState == .invalidPassword && !error.isRetryable, "\(error)")
      #expect(!"\(error)".contains("s3cret") && error.message.contains("check user, password"))
      let missing = try await postgresError {
        try await PostgresConnection.open(PostgresConfiguration(server.connectionString + " passfile=/nonexistent"))
      }
      #expect(missing.sqlState == .invalidPassword && !missing.isRetryable, "\(missing)")
    }
  }

  @Test func `a server that is not there and a database that is not there`() async throws {
    let absent = try await postgresError {
      try await PostgresConnection.open(PostgresConfiguration("host=/nonexistent user=nobody"))
    }
    #expect(absent.code == .connectionFailed && absent.sqlState == nil && absent.isRetryable, "\(absent)")
    try await PrivatePostgres.with { server in
      let missing = try await postgresError {
        try await PostgresConnection.open(PostgresConfiguration(server.connectionString + " dbname=missing"))
      }
      #expect(missing.sqlState?.rawValue == "3D000" && !missing.isRetryable, "\(missing)")
      #expect(missing.message.contains(#"database "missing" does not exist; create the database"#), "\(missing)")
    }
  }

  @Test func `many tasks on few connections, with the server restarted meanwhile, all end well`() async throws {
    try await PrivatePostgres.with { server in
      let pool = try makePool(server, connections: 3, waiters: 1000)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<50 {
          group.addTask {
            for round in 0..<20 {
              while true {
                do {
                  let value = try await pool.query("SELECT $1::int8", [.int64(Int64(task * 100 + round))]).int64(0, 0)
                  #expect(value == Int64(task * 100 + round))
                  break
                } catch let error as PostgresError where error.isRetryable || error.isOutcomeUnknown {
                  // The statement only reads: it may be asked again.
                }
              }
            }
          }
        }
        group.addTask {
          try await server.kill9()
          try await server.restart()
        }
        try await group.waitForAll()
      }
      #expect(pool.statistics.open <= 3 && pool.statistics.waiting == 0)
      await pool.close()
    }
  }
}
