package import PostgresDriver
import Storage
import TimeAndChance

// How statements are run: on a connection of a pool, within the time of the call, and again if they lost a race.
extension PostgresDatabase {
  var deadline: ContinuousClock.Instant { .now + limits.call }

  /// Runs one statement that commits by itself.
  func query<T>(
    _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], on pool: PostgresPool? = nil,
    _ read: (PostgresResult) throws -> T
  ) async throws(StorageError) -> T {
    let pool = pool ?? primary
    return try await retrying { deadline in
      try read(try await pool.query(statement, parameters, deadline: deadline))
    }
  }

  /// Runs one statement that commits by itself and returns how many rows it changed.
  @discardableResult
  func run(_ statement: PostgresStatement, _ parameters: [PostgresValue] = []) async throws(StorageError) -> Int {
    try await query(statement, parameters) { $0.affectedRows }
  }

  /// Runs statements one after another on one connection, each committing by itself unless `body` says otherwise.
  func connected<T>(
    _ body: @Sendable (isolated PostgresConnection, ContinuousClock.Instant) async throws -> sending T
  ) async throws(StorageError) -> T {
    try await retrying { deadline in
      try await primary.withConnection(deadline: deadline) { connection in
        try await connection.run { connection in try await body(connection, deadline) }
      }
    }
  }

  /// Runs a transaction (READ COMMITTED), from its beginning again if it lost a race.
  func transaction<T>(
    _ body: @Sendable @escaping (PostgresConnection, ContinuousClock.Instant) async throws -> sending T
  ) async throws(StorageError) -> T {
    try await connected { connection, deadline in
      try await connection.transaction(deadline: deadline) { connection in
        try await body(connection, deadline)
      }
    }
  }

  /// Runs `body` until it does not lose a race, as often as `limits` allow.
  func retrying<T>(
    _ body: (ContinuousClock.Instant) async throws -> T
  ) async throws(StorageError) -> T {
    let deadline = deadline
    let backoff = Backoff(initial: .milliseconds(2), maximum: .milliseconds(200))
    var attempt = 0
    while true {
      do {
        return try await body(deadline)
      } catch {
        guard let lost = error as? PostgresError, lost.hasLostRace, attempt < limits.retries else {
          throw StorageError(from: error)
        }
      }
      try await pause(backoff.delay(attempt: attempt, random: random))
      attempt += 1
    }
  }

  /// Lends a connection to the primary, for measurements and tests.
  package func withPrimary<T>(_ body: (PostgresConnection) async throws -> T) async throws -> T {
    try await primary.withConnection(body)
  }

  func pause(_ duration: Duration) async throws(StorageError) {
    do {
      try await Task.sleep(for: duration, clock: .continuous)
    } catch {
      throw StorageError(.cancelled, "the task was cancelled between two attempts; nothing was changed")
    }
  }
}
