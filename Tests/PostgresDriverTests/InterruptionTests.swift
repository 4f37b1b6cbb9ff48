import LocalServers
import PostgresDriver
import Testing

/// Proves that the cancellation of a task and a deadline end whatever a connection does, promptly and with the right code; that
/// the connection can be used afterwards if the server has confirmed; and that nothing is called undone that may have been
/// done. A statement that sleeps for a minute stands for one that takes too long; each suite would run into its time limit.
@Suite(.postgresServer, .timeLimit(.minutes(1)))
struct InterruptionTests {
  private let sleeping = "EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = "

  /// Starts a statement that sleeps, and returns when the server sleeps.
  private func startSleeping(_ connection: PostgresConnection) async throws -> Task<Void, any Error> {
    let pid = try await connection.query("SELECT pg_backend_pid()").int32(0, 0)
    let task = Task { _ = try await connection.query("SELECT pg_sleep(60)") }
    try await withConnection { try await untilTrue("\(sleeping)\(pid))", $0) }
    return task
  }

  @Test func `cancelling the task stops the statement and leaves the connection usable`() async throws {
    try await withConnection { connection in
      for _ in 0..<5 {
        let task = try await startSleeping(connection)
        task.cancel()
        let error = try await postgresError { try await task.value }
        #expect(error.code == .cancelled && !error.isOutcomeUnknown, "\(error)")
        #expect(connection.isReusable)
        // A cancel request that came late would hit this one.
        #expect(try await connection.query("SELECT 1").int32(0, 0) == 1)
      }
    }
  }

  @Test func `a deadline stops the statement and leaves the connection usable`() async throws {
    try await withConnection { connection in
      let start = ContinuousClock.now
      let error = try await postgresError {
        try await connection.query("SELECT pg_sleep(60)", deadline: start + .milliseconds(50))
      }
      #expect(error.code == .deadlineExceeded && !error.isOutcomeUnknown && !error.isRetryable)
      #expect(ContinuousClock.now - start >= .milliseconds(50))
      #expect(connection.isReusable)
      #expect(try await connection.query("SELECT 1", deadline: .now + .seconds(60)).int32(0, 0) == 1)
    }
  }

  @Test func `what is late or cancelled before it begins is not sent`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TEMPORARY TABLE untouched (id int)")
      let late = try await postgresError {
        try await connection.query("INSERT INTO untouched VALUES (1)", deadline: .now - .seconds(1))
      }
      #expect(late.code == .deadlineExceeded && !late.isOutcomeUnknown)
      let task = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        _ = try await connection.query("INSERT INTO untouched VALUES (1)")
      }
      #expect(try await postgresError { try await task.value }.code == .cancelled)
      #expect(try await connection.query("SELECT count(*) FROM untouched").int64(0, 0) == 0)
    }
  }

  @Test func `a statement that is done before the cancellation reaches it returns its result`() async throws {
    try await withConnection { connection in
      var done = 0
      for _ in 0..<50 {
        let task = Task { try await connection.query("SELECT 7").int32(0, 0) }
        task.cancel()
        switch await task.result {
        case .success(let value):
          #expect(value == 7)
          done += 1
        case .failure(let error): #expect((error as? PostgresError)?.code == .cancelled)
        }
        #expect(connection.isReusable)
      }
      let last = try await connection.query("SELECT 8").int32(0, 0)
      #expect(last == 8)
    }
  }

  @Test func `a pipeline is stopped where it is`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TEMPORARY TABLE reached (id int)")
      let outcomes = try await connection.pipeline(
        [
          PostgresRequest("INSERT INTO reached VALUES (1)"), PostgresRequest("SELECT pg_sleep(60)"),
          PostgresRequest("INSERT INTO reached VALUES (2)"),
        ], deadline: .now + .seconds(1))
      #expect(try outcomes[0].get().affectedRows == 1)
      let stopped = try await postgresError { try outcomes[1].get() }
      #expect(stopped.code == .deadlineExceeded && !stopped.isOutcomeUnknown)
      #expect(try outcomes[2].get().affectedRows == 1)
      #expect(connection.isReusable)
      let atomic = try await postgresError {
        try await connection.atomicPipeline(
          [PostgresRequest("INSERT INTO reached VALUES (3)"), PostgresRequest("SELECT pg_sleep(60)")],
          deadline: .now + .milliseconds(100))
      }
      #expect(atomic.code == .deadlineExceeded && !atomic.isOutcomeUnknown)
      #expect(try await connection.query("SELECT count(*) FROM reached").int64(0, 0) == 2)
    }
  }

  @Test func `statements that block leave the cooperative pool free`() async throws {
    try await withConnection { holder in
      _ = try await holder.query("SELECT pg_advisory_lock(4711)")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<12 {
          group.addTask {
            try await withConnection { _ = try await $0.query("SELECT pg_advisory_lock_shared(4711)") }
          }
        }
        try await untilTrue(
          "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted) = 12", holder)
        // Twelve threads wait for the server now. Were they of the pool, which has as many as cores, nothing else would run.
        let ticks = Task {
          for _ in 0..<1000 { await Task.yield() }
          return 1000
        }
        #expect(await ticks.value == 1000)
        _ = try await holder.query("SELECT pg_advisory_unlock(4711)")
        try await group.waitForAll()
      }
    }
  }

  @Test func `the server's own statement timeout is the server's error`() async throws {
    var configuration = try serverConfiguration()
    configuration.statementTimeout = .milliseconds(30)
    let connection = try await PostgresConnection.open(configuration)
    let error = try await postgresError { try await connection.query("SELECT pg_sleep(60)") }
    #expect(error.code == .server && error.sqlState == .queryCanceled)
    await connection.close()
  }

  @Test func `a server that hangs costs the grace and the connection, and the outcome is unknown`() async throws {
    try await PrivatePostgres.with { server in
      var configuration = try PostgresConfiguration(server.connectionString)
      configuration.cancelGrace = .milliseconds(100)
      var impatient = configuration
      impatient.connectTimeout = .milliseconds(100)
      let connection = try await PostgresConnection.open(configuration)
      let reader = try await PostgresConnection.open(configuration)
      try await connection.execute("CREATE TABLE hung (id int)")
      let unprepared = PostgresStatement("INSERT INTO hung VALUES (0)")
      // Prepared now, so that what hangs later is the statement itself.
      _ = try await connection.query("INSERT INTO hung VALUES (1)")
      _ = try await reader.query(PostgresStatement("SELECT 1", isReadOnly: true))
      let third = try await PostgresConnection.open(configuration)
      try await server.pause()
      let written = try await postgresError {
        try await connection.query("INSERT INTO hung VALUES (1)", deadline: .now + .milliseconds(50))
      }
      #expect(written.code == .deadlineExceeded && written.isOutcomeUnknown && !connection.isReusable, "\(written)")
      let read = try await postgresError {
        try await reader.query(PostgresStatement("SELECT 1", isReadOnly: true), deadline: .now + .milliseconds(50))
      }
      #expect(read.code == .deadlineExceeded && !read.isOutcomeUnknown && !reader.isReusable)
      let notBegun = try await postgresError { try await third.query(unprepared, deadline: .now + .milliseconds(50)) }
      #expect(notBegun.code == .deadlineExceeded && !notBegun.isOutcomeUnknown && !third.isReusable)
      let refused = try await postgresError { try await PostgresConnection.open(impatient) }
      #expect(refused.code == .connectionFailed && refused.message.contains("within"))
      let late = try await postgresError {
        try await PostgresConnection.open(configuration, deadline: .now + .milliseconds(20))
      }
      #expect(late.code == .deadlineExceeded)
      let connecting = Task { try await PostgresConnection.open(configuration) }
      connecting.cancel()
      #expect(try await postgresError { try await connecting.value }.code == .cancelled)
      await server.resume()
    }
  }

  @Test func `a commit that waits for a replica is never called undone`() async throws {
    try await PrivatePostgres.with { server in
      var configuration = try PostgresConfiguration(server.connectionString)
      configuration.cancelGrace = .seconds(20)
      let observer = try await PostgresConnection.open(configuration)
      try await observer.execute("CREATE TABLE replicated (id int)")
      // A replica that does not exist: each commit waits for it, and no longer when it is cancelled.
      try await observer.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
      try await observer.execute("SELECT pg_reload_conf()")
      try await untilTrue("current_setting('synchronous_standby_names') = 'nobody'", observer)

      let statement = try await PostgresConnection.open(configuration)
      let alonePID = try await statement.query("SELECT pg_backend_pid()").int32(0, 0)
      let insert = Task { try await statement.query("INSERT INTO replicated VALUES (1)") }
      try await untilTrue(
        "EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = \(alonePID))", observer)
      insert.cancel()
      let alone = try await postgresError { try await insert.value }
      #expect(alone.code == .commitOutcomeUnknown && alone.isOutcomeUnknown, "\(alone)")

      let transaction = try await PostgresConnection.open(configuration)
      let commit = try await postgresError {
        try await transaction.transaction(deadline: .now + .seconds(2)) {
          _ = try await $0.query("INSERT INTO replicated VALUES (2)")
        }
      }
      #expect(commit.code == .commitOutcomeUnknown && !transaction.isReusable, "\(commit)")

      let killed = try await PostgresConnection.open(configuration)
      let pid = try await killed.query("SELECT pg_backend_pid()").int32(0, 0)
      let task = Task { try await killed.transaction { _ = try await $0.query("INSERT INTO replicated VALUES (3)") } }
      try await untilTrue(
        "EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT' AND pid = \(pid))",
        observer)
      // COMMIT is not cancelled with its task.
      task.cancel()
      try await server.kill9()
      let lost = try await postgresError { try await task.value }
      #expect(lost.code == .commitOutcomeUnknown, "\(lost)")
    }
  }
}
