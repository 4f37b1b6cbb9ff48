import RedisDriver
import Testing

/// Proves that a script costs exactly one EVALSHA once the server knows it, is loaded when it does not, also after SCRIPT FLUSH,
/// and that its SHA-1 is the one that the server computes. The server's own statistics count the commands.
@Suite(.redisServer, .serialized, .timeLimit(.minutes(1)))
struct ScriptTests {
  private static let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")

  /// How often the server has run a command since `CONFIG RESETSTAT`.
  private func calls(of command: String, _ connection: RedisConnection) async throws -> Int {
    let info = try await connection.command(["INFO", "commandstats"]).text()
    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
    return line.flatMap { Int($0.dropFirst("cmdstat_\(command):calls=".count).prefix { $0.isNumber }) } ?? 0
  }

  @Test(arguments: [0, 1, 54, 55, 56, 63, 64, 65, 1000])
  func `the server computes the same SHA-1`(_ length: Int) async throws {
    let script = RedisScript("return 1 --" + String(repeating: "ä", count: length))
    try await withConnection { (connection) async throws in
      #expect(try await connection.command(["SCRIPT", "LOAD", .text(script.source)]).text() == script.sha1)
    }
  }

  @Test func `in the steady state each call is one EVALSHA`() async throws {
    try await withConnection { (connection) async throws in
      _ = try await connection.command(["SCRIPT", "FLUSH"])
      _ = try await connection.command(["CONFIG", "RESETSTAT"])
      #expect(try await connection.eval(Self.add, keys: ["sum"], arguments: [5]).int64() == 5)
      // Unknown at first: once in vain, loaded, once more.
      #expect(try await calls(of: "evalsha", connection) == 2)
      #expect(try await calls(of: "script|load", connection) == 1)
      _ = try await connection.command(["CONFIG", "RESETSTAT"])
      for _ in 0..<10 { _ = try await connection.eval(Self.add, keys: ["sum"], arguments: [1]) }
      #expect(try await calls(of: "evalsha", connection) == 10)
      #expect(try await calls(of: "script|load", connection) == 0)
      #expect(try await connection.command(["GET", "sum"]).int64() == 15)
    }
  }

  @Test func `a flushed script is loaded again and runs once`() async throws {
    let pool = RedisPool(try serverConfiguration())
    _ = try await pool.command(["DEL", "flushed"])
    for round in 1...5 {
      _ = try await pool.command(["SCRIPT", "FLUSH"])
      #expect(try await pool.eval(Self.add, keys: ["flushed"], arguments: [1]).int64() == Int64(round))
    }
    await pool.close()
  }

  @Test func `several scripts in one round trip, known and unknown`() async throws {
    try await withConnection { (connection) async throws in
      _ = try await connection.command(["SCRIPT", "FLUSH"])
      _ = try await connection.command(["SET", "several", 0])
      let echo = RedisScript("return ARGV[1]")
      _ = try await connection.eval(echo, arguments: ["load me"])
      let answers = try await connection.eval([
        RedisCall(Self.add, keys: ["several"], arguments: [1]), RedisCall(echo, arguments: ["known"]),
        RedisCall(Self.add, keys: ["several"], arguments: [1]), RedisCall(RedisScript("this is no Lua")),
        RedisCall(RedisScript("return redis.call('GET')")),
      ])
      #expect(try answers[0].get().int64() == 1)
      #expect(try answers[1].get().text() == "known")
      #expect(try answers[2].get().int64() == 2)
      let syntax = try await redisError { try answers[3].get() }
      #expect(syntax.code == .server && syntax.message.contains("compiling script"), "\(syntax)")
      let wrong = try await redisError { try answers[4].get() }
      #expect(wrong.code == .server && wrong.message.contains("Wrong number of args"), "\(wrong)")
    }
  }
}
