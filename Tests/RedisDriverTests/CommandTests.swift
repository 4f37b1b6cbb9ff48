import LocalServers
import RedisDriver
import Testing

/// Proves that commands, pipelines and all kinds of answers pass between driver and a real server unchanged, and that server
/// errors get their codes.
@Suite(.redisServer, .timeLimit(.minutes(1)))
struct CommandTests {
  @Test func `answers of every kind`() async throws {
    try await withConnection { (connection) async throws in
      #expect(try await connection.command(["PING"]) == .simple("PONG"))
      #expect(try await connection.command(["ECHO", .bytes([0, 13, 10, 255])]) == .bulk([0, 13, 10, 255]))
      #expect(try await connection.command(["ECHO", ""]) == .bulk([]))
      #expect(try await connection.command(["GET", "kinds:none"]).isNull)
      #expect(try await connection.command(["INCRBY", "kinds:number", .integer(.max)]).int64() == .max)
      #expect(try await connection.command(["GET", "kinds:number"]).int64() == .max)
      #expect(try await connection.command(["INCRBY", "kinds:negative", -5]).int64() == -5)
      let nested = try await connection.command(["EVAL", "return {1, {'a', false}, redis.error_reply('MINE x')}", 0])
      #expect(nested == .array([.integer(1), .array([.bulk([97]), .null]), .error("MINE x")]))
      #expect(try nested.array(count: 3)[0].int64() == 1)
    }
  }

  @Test func `large values and many of them`() async throws {
    try await withConnection { (connection) async throws in
      let large = [UInt8](repeating: 42, count: 8 << 20)
      #expect(try await connection.command(["SET", "large", .bytes(large)]) == .simple("OK"))
      #expect(try await connection.command(["GET", "large"]).bytes() == large)
      let many = (0..<20_000).map { RedisArgument.text("member \($0)") }
      #expect(try await connection.command(["RPUSH", "many"] + many).int64() == 20_000)
      #expect(try await connection.command(["LRANGE", "many", 0, -1]).array(count: 20_000)[7].text() == "member 7")
    }
  }

  @Test func `a pipeline keeps its order, and an error is one answer of it`() async throws {
    try await withConnection { (connection) async throws in
      let commands: [[RedisArgument]] = (0..<1000).map { ["INCRBY", "pipelined", .integer($0)] }
      let answers = try await connection.pipeline(commands + [["LPUSH", "pipelined", "x"], ["GET", "pipelined"]])
      #expect(answers.count == 1002)
      var sum: Int64 = 0
      for (index, answer) in answers.prefix(1000).enumerated() {
        sum += Int64(index)
        #expect(try answer.get().int64() == sum)
      }
      let error = try await redisError { try answers[1000].get() }
      #expect(error.code == .server && error.serverCode == "WRONGTYPE" && !error.isRetryable)
      #expect(try answers[1001].get().int64() == 499_500)
      #expect(try await connection.pipeline([]).isEmpty)
    }
  }

  @Test func `a pipeline whose answers exceed all buffers does not block`() async throws {
    try await withConnection { (connection) async throws in
      let bytes = [UInt8](repeating: 1, count: 1 << 20)
      let answers = try await connection.pipeline((0..<32).map { _ in ["ECHO", .bytes(bytes)] })
      for answer in answers { #expect(try answer.get().bytes().count == 1 << 20) }
    }
  }

  @Test func `an answer of another kind is a typed error`() async throws {
    #expect(try await redisError { try RedisValue.null.int64() }.code == .decoding)
    #expect(
      try await redisError { try RedisValue.bulk([97]).int64() }.message
        == "the answer is bytes and was read as an integer")
    #expect(try await redisError { try RedisValue.integer(1).bytes() }.code == .decoding)
    #expect(try await redisError { try RedisValue.bulk([255]).text() }.code == .decoding)
    #expect(try await redisError { try RedisValue.array([]).array(count: 1) }.code == .decoding)
  }

  @Test func `databases are separate`() async throws {
    let server = try #require(RedisServerTrait.server)
    try await withConnection { _ = try await $0.command(["SET", "where", "zero"]) }
    try await withConnection(RedisConfiguration("\(server.connectionString)?db=3")) { (connection) async throws in
      #expect(try await connection.command(["GET", "where"]).isNull)
    }
    let missing = try await redisError {
      try await RedisConnection.open(RedisConfiguration("\(server.connectionString)?db=99"))
    }
    #expect(missing.message.contains("out of range"))
  }
}
