public import DedicatedThreads

/// A bounded number of connections to one server, lent to callers in the order in which they came.
///
/// Connections are opened when they are needed. One that the server has ended, or that comes back with a transaction under
/// way, is closed and replaced when it is next wanted. While the server cannot be reached, the pool tries again after a
/// jittered backoff for as long as somebody waits, so that it recovers by itself.
public final class PostgresPool: Sendable {
  private let pool: LeasePool<PostgresConnection, PostgresError>

  /// A pool. Nothing is opened yet.
  ///
  /// - Parameters:
  ///   - configuration: where the server is.
  ///   - limits: how many connections and waiters there may be, and for how long.
  ///   - random: random numbers in 0..<1, for the jitter of the backoff.
  public init(
    _ configuration: PostgresConfiguration, limits: PoolLimits = PoolLimits(),
    random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }
  ) {
    pool = LeasePool(limits: limits, jitter: random) { deadline throws(PostgresError) in
      try await PostgresConnection.open(configuration, deadline: deadline)
    }
  }

  /// Lends `body` a connection that nobody else uses, until it returns or throws.
  ///
  /// `body` must not keep the connection. Settings that it makes for the session stay.
  ///
  /// - Parameters:
  ///   - deadline: when to give up waiting for a connection; ``PoolLimits/leaseTimeout`` may end it before. It does not end
  ///     what `body` does.
  ///   - body: runs where the caller runs.
  /// - Throws: what `body` throws; `poolExhausted` if no connection became free or too many callers wait;
  ///   `connectionFailed` if the server cannot be reached; `deadlineExceeded`; `cancelled`; `closed`.
  public func withConnection<T>(
    deadline: ContinuousClock.Instant? = nil, _ body: (PostgresConnection) async throws -> T
  ) async throws -> T {
    let connection = try await pool.lease(deadline: deadline)
    do {
      let value = try await body(connection)
      await pool.giveBack(connection)
      return value
    } catch {
      await pool.giveBack(connection)
      throw error
    }
  }

  /// Runs one statement on a connection of the pool.
  ///
  /// - Parameter deadline: when to give up, both waiting for a connection and running the statement.
  /// - Throws: as ``withConnection(deadline:_:)`` and ``PostgresConnection/query(_:_:deadline:)``.
  public func query(
    _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], deadline: ContinuousClock.Instant? = nil
  ) async throws(PostgresError) -> PostgresResult {
    let connection = try await pool.lease(deadline: deadline)
    do throws(PostgresError) {
      let result = try await connection.query(statement, parameters, deadline: deadline)
      await pool.giveBack(connection)
      return result
    } catch {
      await pool.giveBack(connection)
      throw error
    }
  }

  /// What the pool does at this moment.
  public var statistics: PoolStatistics { pool.statistics }

  /// Closes the pool: new callers and those who wait get `closed`, idle connections are closed.
  ///
  /// Returns when the last lent connection has come back; it does not interrupt what runs on them. Closing again is
  /// allowed. Cancellation of the waiting task changes nothing.
  public func close() async {
    await pool.close()
  }
}

extension PostgresConnection: LeasedConnection {}

extension PostgresError: LeaseFailure {
  package static func poolExhausted(_ reason: String) -> PostgresError {
    PostgresError(
      .poolExhausted, "no connection: \(reason); use more connections or hold each for a shorter time")
  }

  package static func poolClosed() -> PostgresError {
    PostgresError(.closed, "no connection: the pool has been closed")
  }

  package static func leaseCancelled() -> PostgresError {
    PostgresError(.cancelled, "no connection: the task was cancelled while it waited for one")
  }

  package static func leaseDeadlineExceeded(lastFailure: PostgresError?) -> PostgresError {
    PostgresError(
      .deadlineExceeded, "no connection by the deadline\(lastFailure.map { "; last failure: \($0.message)" } ?? "")")
  }

  package var isWorthReconnecting: Bool { isRetryable }
  package var isCallersChoice: Bool { code == .cancelled || code == .deadlineExceeded }
}
