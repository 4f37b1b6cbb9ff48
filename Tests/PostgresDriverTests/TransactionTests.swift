import PostgresDriver
import Testing

private struct BodyError: Error {}

/// Proves that a transaction commits when its body returns and rolls back when it throws, that failures of the commit itself
/// are told apart, and that the connection can be used afterwards.
@Suite(.postgresServer, .timeLimit(.minutes(2)))
struct TransactionTests {
  /// True, or a trap if the caller does not run on the connection's thread.
  private func runsOnThread(of connection: PostgresConnection) -> Bool {
    connection.assumeIsolated { _ in true }
  }

  private func withTable<T>(_ body: (PostgresConnection) async throws -> T) async throws -> T {
    try await withConnection { connection in
      try await connection.execute("CREATE TEMPORARY TABLE kept (id bigint PRIMARY KEY)")
      return try await body(connection)
    }
  }

  private func count(_ connection: PostgresConnection) async throws -> Int64 {
    try await connection.query("SELECT count(*) FROM kept").int64(0, 0)
  }

  @Test func `what the body did is committed, and its value returned`() async throws {
    try await withTable { connection in
      let value = try await connection.transaction { connection in
        #expect(!connection.isReusable)
        return try await connection.query("INSERT INTO kept VALUES (1)").affectedRows
      }
      #expect(value == 1)
      #expect(try await count(connection) == 1)
      #expect(connection.isReusable)
    }
  }

  @Test func `a body that throws is rolled back and its error thrown`() async throws {
    try await withTable { connection in
      await #expect(throws: BodyError.self) {
        try await connection.transaction { (connection) async throws -> Void in
          _ = try await connection.query("INSERT INTO kept VALUES (1)")
          throw BodyError()
        }
      }
      let kept = try await count(connection)
      #expect(kept == 0)
      #expect(connection.isReusable)
    }
  }

  @Test func `a failed statement that the body ignores is an error of the commit`() async throws {
    try await withTable { connection in
      let error = try await postgresError {
        try await connection.transaction { connection in
          _ = try await connection.query("INSERT INTO kept VALUES (1)")
          _ = try? await connection.query("SELECT 1/0")
        }
      }
      #expect(error.code == .aborted && !error.isOutcomeUnknown)
      #expect(try await count(connection) == 0)
    }
  }

  @Test func `a constraint checked at the commit is the server's error`() async throws {
    try await withTable { connection in
      try await connection.execute(
        "CREATE TEMPORARY TABLE late (id bigint CONSTRAINT late_key UNIQUE DEFERRABLE INITIALLY DEFERRED)")
      let error = try await postgresError {
        try await connection.transaction { try await $0.execute("INSERT INTO late VALUES (1), (1)") }
      }
      #expect(error.sqlState == .uniqueViolation && error.constraint == "late_key")
      #expect(connection.isReusable)
    }
  }

  @Test func `isolation and read-only reach the server`() async throws {
    try await withConnection { connection in
      for (level, name) in [
        (IsolationLevel.readCommitted, "read committed"), (.repeatableRead, "repeatable read"),
        (.serializable, "serializable"),
      ] {
        let settings = try await connection.transaction(isolation: level, readOnly: level == .serializable) {
          connection in
          try await connection.query(
            "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
        }
        #expect(try settings.text(0, 0) == name)
        #expect(try settings.text(0, 1) == (level == .serializable ? "on" : "off"))
      }
      let error = try await postgresError {
        try await connection.transaction(readOnly: true) { try await $0.execute("CREATE TABLE never (id int)") }
      }
      #expect(error.sqlState == .readOnlyTransaction)
    }
  }

  @Test func `a serialization failure is retryable`() async throws {
    let first = try await PostgresConnection.open(serverConfiguration())
    let second = try await PostgresConnection.open(serverConfiguration())
    try await first.execute(
      "CREATE TABLE contended (id int PRIMARY KEY, value int); INSERT INTO contended VALUES (1, 0)")
    let error = try await postgresError {
      try await first.transaction(isolation: .repeatableRead) { first in
        _ = try await first.query("SELECT * FROM contended")
        _ = try await second.query("UPDATE contended SET value = 1")
        _ = try await first.query("UPDATE contended SET value = 2")
      }
    }
    #expect(error.sqlState == .serializationFailure && error.isRetryable)
    await first.close()
    await second.close()
  }

  @Test func `transactions do not nest`() async throws {
    try await withTable { connection in
      let error = try await postgresError {
        try await connection.transaction { connection in
          try await connection.transaction { _ in }
        }
      }
      #expect(error.code == .misuse)
      #expect(connection.isReusable)
    }
  }

  @Test func `a cancelled body is rolled back, a cancelled task still commits what its body has done`() async throws {
    try await withTable { connection in
      let task = Task {
        try await connection.transaction { connection in
          _ = try await connection.query("INSERT INTO kept VALUES (1)")
          withUnsafeCurrentTask { $0?.cancel() }
        }
      }
      try await task.value
      #expect(try await count(connection) == 1)
      let broken = Task {
        try await connection.transaction { connection in
          _ = try await connection.query("INSERT INTO kept VALUES (2)")
          withUnsafeCurrentTask { $0?.cancel() }
          _ = try await connection.query("INSERT INTO kept VALUES (3)")
        }
      }
      #expect(try await postgresError { try await broken.value }.code == .cancelled)
      #expect(try await count(connection) == 1)
      #expect(connection.isReusable)
    }
  }

  @Test func `a transaction on the connection's own thread does not leave it`() async throws {
    try await withTable { connection in
      let isOnThread = try await connection.run { connection in
        try await connection.transaction { connection in
          _ = try await connection.query("INSERT INTO kept VALUES (1)")
          return runsOnThread(of: connection)
        }
      }
      #expect(isOnThread)
      #expect(try await count(connection) == 1)
    }
  }
}
