import PostgresDriver
import Testing

/// Proves that statements are prepared once in a session and reused, that the cache is bounded, that a plan which the server
/// has dropped or outdated is made again, and what the errors of the server become.
@Suite(.postgresServer, .timeLimit(.minutes(2)))
struct StatementTests {
  private static let prepared = PostgresStatement(
    "SELECT count(*), coalesce(max(generic_plans + custom_plans), 0) FROM pg_prepared_statements WHERE statement LIKE $1"
  )

  @Test func `a statement is prepared once and then reused`() async throws {
    try await withConnection { connection in
      for number in 0..<10 {
        let result = try await connection.query("SELECT $1::int8 + 1 AS reused", [.int64(Int64(number))])
        #expect(try result.int64(0, 0) == Int64(number) + 1)
      }
      let result = try await connection.query(Self.prepared, [.text("%AS reused")])
      #expect(try result.int64(0, 0) == 1)
      #expect(try result.int64(0, 1) == 10)
    }
  }

  @Test func `statements with the same text are the same, whatever they are made from`() async throws {
    let built = PostgresStatement(["SELECT", "1"].joined(separator: " "))
    #expect(built == "SELECT 1")
    #expect(built != "SELECT 2")
  }

  @Test func `the cache is bounded and drops the least recently used`() async throws {
    var configuration = try serverConfiguration()
    configuration.statementCacheLimit = 5
    let connection = try await PostgresConnection.open(configuration)
    for number in 0..<20 {
      #expect(try await connection.query(PostgresStatement("SELECT \(number) AS cached")).int32(0, 0) == Int32(number))
      #expect(try await connection.query("SELECT -1 AS cached").int32(0, 0) == -1)
    }
    let result = try await connection.query(
      "SELECT count(*), count(*) FILTER (WHERE statement = 'SELECT -1 AS cached') FROM pg_prepared_statements")
    #expect(try result.int64(0, 0) == 5)
    #expect(try result.int64(0, 1) == 1)
    await connection.close()
  }

  @Test func `a statement whose table has changed or that the server forgot is prepared again`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TABLE changing (id bigint); INSERT INTO changing VALUES (1)")
      #expect(try await connection.query("SELECT * FROM changing").columnCount == 1)
      try await connection.execute("ALTER TABLE changing ADD COLUMN more text")
      #expect(try await connection.query("SELECT * FROM changing").columnCount == 2)
      try await connection.execute("DEALLOCATE ALL")
      #expect(try await connection.query("SELECT * FROM changing").columnCount == 2)

      try await connection.execute("ALTER TABLE changing ADD COLUMN third text")
      let error = try await postgresError {
        try await connection.transaction { _ = try await $0.query("SELECT * FROM changing") }
      }
      #expect(error.sqlState == .featureNotSupported)
      let columns = try await connection.transaction { try await $0.query("SELECT * FROM changing").columnCount }
      #expect(columns == 3)
    }
  }

  @Test func `server errors carry code, constraint and table, and leave the connection usable`() async throws {
    try await withConnection { connection in
      try await connection.execute("CREATE TABLE once (id bigint CONSTRAINT once_key PRIMARY KEY)")
      _ = try await connection.query("INSERT INTO once VALUES ($1)", [.int64(1)])
      let error = try await postgresError { try await connection.query("INSERT INTO once VALUES ($1)", [.int64(1)]) }
      #expect(error.code == .server && error.sqlState == .uniqueViolation)
      #expect(error.constraint == "once_key" && error.table == "once" && error.schema == "public")
      #expect(!error.isRetryable && !error.isOutcomeUnknown)
      #expect(error.message.contains("INSERT INTO once") && !error.message.contains("(id)=(1)"))
      let syntax = try await postgresError { try await connection.query("SELEKT 1") }
      #expect(syntax.sqlState?.rawValue == "42601")
      let missing = try await postgresError { try await connection.query("SELECT * FROM missing") }
      #expect(missing.sqlState == .undefinedTable && missing.message.contains("run the migrations"))
      #expect(connection.isReusable)
      #expect(try await connection.query("SELECT count(*) FROM once").int64(0, 0) == 1)
    }
  }

  @Test func `scripts run several statements as one transaction and say what the last did`() async throws {
    try await withConnection { connection in
      #expect(
        try await connection.execute("CREATE TABLE scripted (id int); INSERT INTO scripted VALUES (1), (2)")
          == "INSERT 0 2")
      let error = try await postgresError {
        try await connection.execute("INSERT INTO scripted VALUES (3); SELECT 1/0")
      }
      #expect(error.sqlState?.rawValue == "22012")
      #expect(try await connection.query("SELECT count(*) FROM scripted").int64(0, 0) == 2)
      #expect(try await connection.execute("") == "")
      #expect(try await connection.query("INSERT INTO scripted SELECT * FROM generate_series(1, 7)").affectedRows == 7)
    }
  }

  @Test func `COPY through query is a misuse and closes the connection`() async throws {
    try await withConnection { connection in
      let error = try await postgresError { try await connection.execute("COPY (SELECT 1) TO STDOUT") }
      #expect(error.code == .misuse && error.message.contains("copyOut"))
      #expect(!connection.isReusable)
      #expect(try await postgresError { try await connection.query("SELECT 1") }.code == .closed)
    }
  }

  @Test func `transient conditions are retryable, others are not`() {
    for state in ["40001", "40P01", "53300", "57P01", "57P02", "57P03", "08006", "55P03", "25006"] {
      #expect(SQLState(rawValue: state).isTransient, "\(state)")
    }
    for state in ["23505", "42601", "28P01", "57014", "22012", "25P02", "40002"] {
      #expect(!SQLState(rawValue: state).isTransient, "\(state)")
    }
    #expect(PostgresError(.connectionLost, "").isRetryable)
    #expect(PostgresError(.connectionFailed, "").isRetryable)
    #expect(!PostgresError(.commitOutcomeUnknown, "").isRetryable)
    #expect(PostgresError(.commitOutcomeUnknown, "").isOutcomeUnknown)
    #expect(!PostgresError(.cancelled, "").isRetryable)
  }
}
