import PostgresDriver
import Testing

/// Proves pipelines on a real server: each statement of an independent pipeline stands for itself, an atomic one happens as a
/// whole or not at all, errors in the middle reach the right request, and much data in both directions at once does not block.
@Suite(.postgresServer, .timeLimit(.minutes(2)))
struct PipelineTests {
  private static let insert = PostgresStatement("INSERT INTO piped VALUES ($1) RETURNING id")

  private func withTable<T>(_ body: (PostgresConnection) async throws -> T) async throws -> T {
    try await withConnection { connection in
      // Temporary, so that the tests do not meet.
      try await connection.execute("CREATE TEMPORARY TABLE piped (id bigint PRIMARY KEY)")
      return try await body(connection)
    }
  }

  private func count(_ connection: PostgresConnection) async throws -> Int64 {
    try await connection.query("SELECT count(*) FROM piped").int64(0, 0)
  }

  @Test func `each statement has its result, and an error in the middle is its own`() async throws {
    try await withTable { connection in
      let outcomes = try await connection.pipeline([
        PostgresRequest(Self.insert, [.int64(1)]), PostgresRequest("SELECT 'between' AS word"),
        PostgresRequest(Self.insert, [.int64(1)]), PostgresRequest("SELECT 1/0"),
        PostgresRequest("SELEKT"), PostgresRequest(Self.insert, [.text("no number"), .null]),
        PostgresRequest(Self.insert, [.int64(2)]),
      ])
      #expect(outcomes.count == 7)
      #expect(try outcomes[0].get().int64(0, 0) == 1)
      #expect(try outcomes[1].get().text(0, 0) == "between")
      let duplicate = try await postgresError { try outcomes[2].get() }
      #expect(duplicate.sqlState == .uniqueViolation && duplicate.message.contains("INSERT INTO piped"))
      #expect(try await postgresError { try outcomes[3].get() }.sqlState?.rawValue == "22012")
      #expect(try await postgresError { try outcomes[4].get() }.sqlState?.rawValue == "42601")
      #expect(try await postgresError { try outcomes[5].get() }.code == .invalidParameter)
      #expect(try outcomes[6].get().int64(0, 0) == 2)
      #expect(try await count(connection) == 2)
      #expect(connection.isReusable)
    }
  }

  @Test func `an atomic pipeline happens as a whole`() async throws {
    try await withTable { connection in
      let results = try await connection.atomicPipeline(
        (1...50).map { PostgresRequest(Self.insert, [.int64($0)]) })
      #expect(try results.map { try $0.int64(0, 0) } == Array(1...50))
      #expect(try await count(connection) == 50)
    }
  }

  @Test func `an atomic pipeline with an error happens not at all, and throws that error`() async throws {
    try await withTable { connection in
      let error = try await postgresError {
        try await connection.atomicPipeline([
          PostgresRequest(Self.insert, [.int64(1)]), PostgresRequest(Self.insert, [.int64(1)]),
          PostgresRequest("SELECT 1"),
        ])
      }
      #expect(error.sqlState == .uniqueViolation && error.message.contains("INSERT INTO piped"))
      #expect(try await count(connection) == 0)
    }
  }

  @Test func `an atomic pipeline with a wrong parameter happens not at all`() async throws {
    let table = "piped_atomic"
    try await withConnection { connection in
      try await connection.execute("CREATE TABLE \(table) (id bigint)")
      let insert = PostgresStatement("INSERT INTO \(table) VALUES ($1)")
      let error = try await postgresError {
        try await connection.atomicPipeline([
          PostgresRequest(insert, [.int64(1)]), PostgresRequest(insert, [.uuid(.init(high: 0, low: 0))]),
        ])
      }
      #expect(error.code == .invalidParameter)
    }
    let count = try await withConnection {
      try await $0.query(PostgresStatement("SELECT count(*) FROM \(table)")).int64(0, 0)
    }
    #expect(count == 0)
  }

  @Test func `within a transaction an error fails what comes after it`() async throws {
    try await withTable { connection in
      let error = try await postgresError {
        try await connection.transaction { connection in
          let outcomes = try await connection.pipeline([
            PostgresRequest(Self.insert, [.int64(1)]), PostgresRequest(Self.insert, [.int64(1)]),
            PostgresRequest(Self.insert, [.int64(2)]),
          ])
          #expect(try await postgresError { try outcomes[1].get() }.sqlState == .uniqueViolation)
          #expect(try await postgresError { try outcomes[2].get() }.sqlState == .inFailedTransaction)
        }
      }
      #expect(error.code == .aborted)
      #expect(try await count(connection) == 0)
    }
  }

  @Test func `megabytes in both directions do not block each other`() async throws {
    try await withConnection { connection in
      let bytes = [UInt8](repeating: 7, count: 1 << 20)
      let outcomes = try await connection.pipeline(
        (0..<24).map { _ in PostgresRequest("SELECT $1::bytea || $1::bytea", [.bytea(bytes)]) })
      for outcome in outcomes {
        #expect(try outcome.get().withBytes(row: 0, column: 0) { $0.count } == 2 << 20)
      }
    }
  }

  @Test func `an empty pipeline does nothing`() async throws {
    try await withConnection { connection in
      let outcomes = try await connection.pipeline([])
      let results = try await connection.atomicPipeline([])
      #expect(outcomes.isEmpty && results.isEmpty)
    }
  }

  @Test func `a plan outdated within a pipeline is made again the next time`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TEMPORARY TABLE outdated (id bigint)")
      let request = PostgresRequest("SELECT * FROM outdated")
      _ = try await connection.pipeline([request])[0].get()
      try await connection.execute("ALTER TABLE outdated ADD COLUMN more text")
      let outcome = try await connection.pipeline([request])[0]
      #expect(try await postgresError { try outcome.get() }.sqlState == .featureNotSupported)
      #expect(try await connection.pipeline([request])[0].get().columnCount == 2)
      try await connection.execute("ALTER TABLE outdated ADD COLUMN third text")
      #expect(
        try await postgresError { try await connection.atomicPipeline([request]) }.sqlState == .featureNotSupported)
      #expect(try await connection.atomicPipeline([request])[0].columnCount == 3)
    }
  }
}
