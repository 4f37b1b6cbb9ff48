import DedicatedThreads
import LocalServers
import RedisDriver
import Testing

/// Proves what becomes of commands, connections and pools when the server hangs, crashes, restarts, refuses or is short of
/// memory. Each test has a server of its own and harms it for real.
@Suite(.timeLimit(.minutes(1)))
struct FailureTests {
  private func makePool(_ server: PrivateRedis, connections: Int = 2, timeout: Duration = .seconds(20)) throws
    -> RedisPool
  {
    RedisPool(
      try RedisConfiguration(server.connectionString),
      limits: PoolLimits(
        connections: connections, leaseTimeout: timeout,
        backoff: Backoff(initial: .milliseconds(5), maximum: .milliseconds(50))),
      random: { 0.5 })
  }

  /// Waits until as many clients as given block in a command.
  private func untilBlocked(_ count: Int64, _ connection: RedisConnection) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      let info = try await connection.command(["INFO", "clients"]).text()
      if info.split(whereSeparator: \.isNewline).contains("blocked_clients:\(count)") { return }
      try #require(ContinuousClock.now < deadline)
    }
  }

  @Test func `a server that hangs ends a command at its deadline, at the timeout, and by cancellation`() async throws {
    try await PrivateRedis.with { server in
      var configuration = try RedisConfiguration(server.connectionString)
      configuration.commandTimeout = .milliseconds(60)
      var impatient = configuration
      impatient.connectTimeout = .milliseconds(60)
      var connections: [RedisConnection] = []
      for _ in 0..<4 { connections.append(try await RedisConnection.open(configuration)) }
      await server.pause()
      let late = try await redisError {
        try await connections[0].command(["INCR", "x"], deadline: .now + .milliseconds(30))
      }
      #expect(late.code == .deadlineExceeded && late.isOutcomeUnknown && !connections[0].isReusable, "\(late)")
      let timeout = try await redisError { try await connections[1].command(["INCR", "x"]) }
      #expect(timeout.code == .deadlineExceeded && timeout.isOutcomeUnknown)
      let idempotent = try await redisError { try await connections[2].command(["GET", "x"], isIdempotent: true) }
      #expect(idempotent.code == .deadlineExceeded && !idempotent.isOutcomeUnknown)
      let task = Task { try await connections[3].command(["INCR", "x"], deadline: .now + .seconds(600)) }
      task.cancel()
      #expect(try await redisError { try await task.value }.code == .cancelled)
      let refused = try await redisError { try await RedisConnection.open(impatient) }
      #expect(
        refused.code == .connectionFailed && refused.isRetryable && refused.message.contains("no answer within"),
        "\(refused)")
      let opening = try await redisError {
        try await RedisConnection.open(configuration, deadline: .now + .milliseconds(10))
      }
      #expect(opening.code == .deadlineExceeded)
      await server.resume()
      let pool = RedisPool(configuration)
      #expect(try await pool.command(["PING"], deadline: .now + .seconds(20)).text() == "PONG")
      await pool.close()
    }
  }

  @Test func `cancellation ends a blocking command at once`() async throws {
    try await PrivateRedis.with { server in
      let configuration = try RedisConfiguration(server.connectionString)
      let observer = try await RedisConnection.open(configuration)
      let connection = try await RedisConnection.open(configuration)
      let task = Task { try await connection.command(["BLPOP", "nothing", 0], deadline: .now + .seconds(600)) }
      try await untilBlocked(1, observer)
      task.cancel()
      let error = try await redisError { try await task.value }
      #expect(error.code == .cancelled && error.isOutcomeUnknown)
      #expect(try await redisError { try await connection.command(["PING"]) }.code == .closed)
    }
  }

  @Test func `a command that is late or cancelled before it is sent is not sent`() async throws {
    try await PrivateRedis.with { server in
      try await withConnection(RedisConfiguration(server.connectionString)) { (connection) async throws in
        let late = try await redisError { try await connection.command(["INCR", "x"], deadline: .now - .seconds(1)) }
        #expect(late.code == .deadlineExceeded && !late.isOutcomeUnknown && connection.isReusable)
        #expect(try await connection.command(["GET", "x"]).isNull)
      }
    }
  }

  @Test func `a crash in mid-command is an unknown outcome, and only what is idempotent is sent again`() async throws {
    try await PrivateRedis.with { server in
      let pool = try makePool(server, connections: 3)
      let observer = try await RedisConnection.open(RedisConfiguration(server.connectionString))
      let deadline = ContinuousClock.now + .seconds(50)
      let plain = Task { try await pool.command(["BLPOP", "queue", 0], deadline: deadline) }
      let idempotent = Task { try await pool.command(["BRPOP", "queue", 0], isIdempotent: true, deadline: deadline) }
      try await untilBlocked(2, observer)
      try await server.kill9()
      let error = try await redisError { try await plain.value }
      #expect(error.code == .outcomeUnknown && error.isOutcomeUnknown && !error.isRetryable, "\(error)")
      try await server.restart()
      // The idempotent command waits on the new server, until there is something to pop.
      let again = try await RedisConnection.open(RedisConfiguration(server.connectionString))
      try await untilBlocked(1, again)
      _ = try await again.command(["LPUSH", "queue", "found"])
      #expect(try await idempotent.value.array()[1].text() == "found")
      await pool.close()
    }
  }

  @Test func `a connection that the server ended at rest leaves nothing in doubt`() async throws {
    try await PrivateRedis.with { server in
      let connection = try await RedisConnection.open(RedisConfiguration(server.connectionString))
      try await server.restart()
      let error = try await redisError { try await connection.command(["INCR", "x"]) }
      #expect(error.code == .connectionLost && error.isRetryable && !error.isOutcomeUnknown, "\(error)")
    }
  }

  @Test func `a restarted server has another run id, and the pool recovers`() async throws {
    try await PrivateRedis.with { server in
      let pool = try makePool(server)
      let first = try await pool.withConnection { $0.runID }
      #expect(first.rawValue.count == 40)
      #expect(try await pool.withConnection { $0.runID } == first)
      try await server.kill9()
      let down = try await redisError { try await pool.command(["PING"], deadline: .now + .milliseconds(50)) }
      #expect(down.code == .deadlineExceeded && down.message.contains("cannot connect"), "\(down)")
      let waiting = Task { try await pool.withConnection { $0.runID } }
      try await server.restart()
      let second = try await waiting.value
      #expect(second != first && second.rawValue.count == 40)
      #expect(pool.statistics.failedAttempts == 0)
      await pool.close()
    }
  }

  @Test func `passwords right, wrong and missing`() async throws {
    var options = PrivateRedis.Options()
    options.password = "p@ss/w:rd"
    try await PrivateRedis.with(options) { server in
      let right = try RedisConfiguration("unix://:p%40ss%2Fw%3Ard@\(server.socketPath)")
      let pong = try await withConnection(right) { try await $0.command(["PING"]).text() }
      #expect(pong == "PONG")
      let named = try await withConnection(RedisConfiguration("unix://default:p%40ss%2Fw%3Ard@\(server.socketPath)")) {
        try await $0.command(["PING"]).text()
      }
      #expect(named == "PONG")
      let wrong = RedisPool(try RedisConfiguration("unix://:s3cret@\(server.socketPath)"))
      let error = try await redisError { try await wrong.command(["PING"]) }
      #expect(error.code == .authenticationFailed && error.serverCode == "WRONGPASS" && !error.isRetryable)
      #expect(!"\(error)".contains("s3cret"))
      let missing = try await redisError { try await RedisConnection.open(RedisConfiguration(server.connectionString)) }
      #expect(missing.code == .authenticationFailed && missing.serverCode == "NOAUTH")
      _ = try await withConnection(right) {
        try await $0.command(["ACL", "SETUSER", "reader", "on", ">secret", "+info", "+get", "~*"])
      }
      let denied = try await redisError {
        try await withConnection(RedisConfiguration("unix://reader:secret@\(server.socketPath)")) {
          try await $0.command(["SET", "x", "y"])
        }
      }
      #expect(denied.code == .permissionDenied)
    }
  }

  @Test func `over TCP as well`() async throws {
    // A port that was free a moment ago; another process may take it first, so several are tried.
    var lastError: (any Error)?
    for _ in 0..<10 {
      var options = PrivateRedis.Options()
      options.port = UInt16.random(in: 20_000..<60_000)
      do {
        try await PrivateRedis.with(options) { server in
          let configuration = try RedisConfiguration("redis://127.0.0.1:\(options.port ?? 0)/2")
          let value = try await withConnection(configuration) { (connection) async throws in
            _ = try await connection.command(["SET", "x", "y"])
            return try await connection.command(["GET", "x"]).text()
          }
          #expect(value == "y")
        }
        return
      } catch let error as LocalServerError {
        lastError = error
      }
    }
    throw try #require(lastError)
  }

  @Test func `no server there`() async throws {
    for url in ["unix:///nonexistent/redis", "redis://127.0.0.1:1"] {
      let error = try await redisError { try await RedisConnection.open(RedisConfiguration(url)) }
      #expect(error.code == .connectionFailed && error.isRetryable && !error.isOutcomeUnknown, "\(error)")
    }
  }

  @Test func `a replica is read-only, and without its master it is down`() async throws {
    try await PrivateRedis.with { server in
      try await withConnection(RedisConfiguration(server.connectionString)) { (connection) async throws in
        // A master that is not there.
        _ = try await connection.command(["REPLICAOF", "127.0.0.1", 1])
        let readOnly = try await redisError { try await connection.command(["SET", "x", "y"]) }
        #expect(readOnly.code == .readOnly && readOnly.isRetryable && !readOnly.isOutcomeUnknown)
        _ = try await connection.command(["CONFIG", "SET", "replica-serve-stale-data", "no"])
        let down = try await redisError { try await connection.command(["GET", "x"]) }
        #expect(down.code == .masterDown && down.isRetryable)
      }
    }
  }

  @Test func `the memory limit, also within a script`() async throws {
    try await PrivateRedis.with { server in
      try await withConnection(RedisConfiguration(server.connectionString)) { (connection) async throws in
        _ = try await connection.command(["CONFIG", "SET", "maxmemory", "1"])
        let plain = try await redisError { try await connection.command(["SET", "x", "y"]) }
        #expect(plain.code == .outOfMemory && plain.isRetryable)
        let script = RedisScript("return redis.call('SET', KEYS[1], 'y')")
        let scripted = try await redisError { try await connection.eval(script, keys: ["x"]) }
        #expect(scripted.code == .outOfMemory, "\(scripted)")
      }
    }
  }

  @Test func `a script that does not end makes the server busy`() async throws {
    try await PrivateRedis.with { server in
      let configuration = try RedisConfiguration(server.connectionString)
      let observer = try await RedisConnection.open(configuration)
      _ = try await observer.command(["CONFIG", "SET", "busy-reply-threshold", 10])
      let looping = try await RedisConnection.open(configuration)
      let task = Task { try await looping.eval(RedisScript("while true do end"), deadline: .now + .seconds(50)) }
      var busy: RedisError?
      while busy == nil {
        do throws(RedisError) { _ = try await observer.command(["PING"]) } catch { busy = error }
      }
      #expect(busy?.code == .busy && busy?.isRetryable == true)
      _ = try await observer.command(["SCRIPT", "KILL"])
      let killed = try await redisError { try await task.value }
      #expect(killed.code == .server && killed.message.contains("SCRIPT KILL"), "\(killed)")
    }
  }

  @Test func `a pool refuses what exceeds it`() async throws {
    try await PrivateRedis.with { server in
      let pool = try makePool(server, connections: 1, timeout: .seconds(1))
      try await pool.withConnection { _ in
        let error = try await redisError { try await pool.command(["PING"]) }
        #expect(error.code == .poolExhausted && error.isRetryable)
      }
      #expect(try await pool.command(["PING"]).text() == "PONG")
      await pool.close()
      #expect(try await redisError { try await pool.command(["PING"]) }.code == .closed)
    }
  }

  @Test func `commands that block leave the cooperative pool free`() async throws {
    try await PrivateRedis.with { server in
      let configuration = try RedisConfiguration(server.connectionString)
      let observer = try await RedisConnection.open(configuration)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<12 {
          group.addTask {
            _ = try await withConnection(configuration) {
              try await $0.command(["BLPOP", "gate", 0], deadline: .now + .seconds(50))
            }
          }
        }
        try await untilBlocked(12, observer)
        let ticks = Task {
          for _ in 0..<1000 { await Task.yield() }
          return 1000
        }
        #expect(await ticks.value == 1000)
        for _ in 0..<12 { _ = try await observer.command(["RPUSH", "gate", "x"]) }
        try await group.waitForAll()
      }
    }
  }

  @Test func `many tasks on few connections, with the server restarted meanwhile, all end well`() async throws {
    try await PrivateRedis.with { server in
      let pool = try makePool(server)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<40 {
          group.addTask {
            for round in 0..<20 {
              while true {
                do {
                  let text = try await pool.command(["ECHO", .text("\(task) \(round)")], deadline: .now + .seconds(30))
                    .text()
                  #expect(text == "\(task) \(round)")
                  break
                } catch let error as RedisError where error.isRetryable || error.isOutcomeUnknown {
                  // Harmless to repeat.
                }
              }
            }
          }
        }
        group.addTask { try await server.restart() }
        try await group.waitForAll()
      }
      #expect(pool.statistics.open <= 2 && pool.statistics.waiting == 0)
      await pool.close()
    }
  }
}
