public import DedicatedThreads

/// A bounded number of connections to one Redis server, lent to callers in the order in which they came.
///
/// Connections are opened when they are needed; one that has ended is replaced when it is next wanted. While the server
/// cannot be reached, the pool tries again after a jittered backoff for as long as somebody waits.
public final class RedisPool: Sendable {
  private let pool: LeasePool<RedisConnection, RedisError>

  /// A pool. Nothing is opened yet.
  ///
  /// - Parameters:
  ///   - configuration: where the server is.
  ///   - limits: how many connections and waiters there may be, and for how long.
  ///   - random: random numbers in 0..<1, for the jitter of the backoff.
  public init(
    _ configuration: RedisConfiguration, limits: PoolLimits = PoolLimits(connections: 4),
    random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }
  ) {
    pool = LeasePool(limits: limits, jitter: random) { deadline throws(RedisError) in
      try await RedisConnection.open(configuration, deadline: deadline)
    }
  }

  /// Lends `body` a connection that nobody else uses, until it returns or throws.
  ///
  /// - Parameters:
  ///   - deadline: when to give up waiting for a connection; ``PoolLimits/leaseTimeout`` may end it before.
  ///   - body: runs where the caller runs; must not keep the connection.
  /// - Throws: what `body` throws; `poolExhausted`, `connectionFailed`, `authenticationFailed`, `deadlineExceeded`,
  ///   `cancelled`, `closed`.
  public func withConnection<T>(
    deadline: ContinuousClock.Instant? = nil, _ body: (RedisConnection) async throws -> T
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

  /// Runs a script on a connection of the pool; see ``RedisConnection/eval(_:keys:arguments:isIdempotent:deadline:)``.
  ///
  /// A script marked as idempotent is run again, once, if its connection is lost.
  public func eval(
    _ script: RedisScript, keys: [RedisArgument] = [], arguments: [RedisArgument] = [], isIdempotent: Bool = false,
    deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> RedisValue {
    try await withRetry(deadline) { connection throws(RedisError) in
      try await connection.eval(
        script, keys: keys, arguments: arguments, isIdempotent: isIdempotent, deadline: deadline)
    }
  }

  /// Sends a command on a connection of the pool; see ``RedisConnection/command(_:isIdempotent:deadline:)``.
  ///
  /// A command marked as idempotent is sent again, once, if its connection is lost.
  public func command(
    _ arguments: [RedisArgument], isIdempotent: Bool = false, deadline: ContinuousClock.Instant? = nil
  ) async throws(RedisError) -> RedisValue {
    try await withRetry(deadline) { connection throws(RedisError) in
      try await connection.command(arguments, isIdempotent: isIdempotent, deadline: deadline)
    }
  }

  /// What the pool does at this moment.
  public var statistics: PoolStatistics { pool.statistics }

  /// Closes the pool: new callers and those who wait get `closed`, idle connections are closed.
  ///
  /// Returns when the last lent connection has come back. Closing again is allowed. Cancellation of the waiting task changes
  /// nothing.
  public func close() async {
    await pool.close()
  }

  /// Runs `body` once more if the connection was lost in a way that cannot have done harm: `connectionLost` says that
  /// nothing was sent, or that it was idempotent.
  private func withRetry<T>(
    _ deadline: ContinuousClock.Instant?, _ body: (RedisConnection) async throws(RedisError) -> T
  ) async throws(RedisError) -> T {
    do throws(RedisError) {
      return try await once(deadline, body)
    } catch {
      guard error.code == .connectionLost else { throw error }
      return try await once(deadline, body)
    }
  }

  private func once<T>(
    _ deadline: ContinuousClock.Instant?, _ body: (RedisConnection) async throws(RedisError) -> T
  ) async throws(RedisError) -> T {
    let connection = try await pool.lease(deadline: deadline)
    do throws(RedisError) {
      let value = try await body(connection)
      await pool.giveBack(connection)
      return value
    } catch {
      await pool.giveBack(connection)
      throw error
    }
  }
}

extension RedisConnection: LeasedConnection {}

extension RedisError: LeaseFailure {
  package static func poolExhausted(_ reason: String) -> RedisError {
    RedisError(.poolExhausted, "no connection: \(reason); use more connections or hold each for a shorter time")
  }

  package static func poolClosed() -> RedisError {
    RedisError(.closed, "no connection: the pool has been closed")
  }

  package static func leaseCancelled() -> RedisError {
    RedisError(.cancelled, "no connection: the task was cancelled while it waited for one")
  }

  package static func leaseDeadlineExceeded(lastFailure: RedisError?) -> RedisError {
    RedisError(
      .deadlineExceeded, "no connection by the deadline\(lastFailure.map { "; last failure: \($0.message)" } ?? "")")
  }

  package var isWorthReconnecting: Bool { isRetryable }
  package var isCallersChoice: Bool { code == .cancelled || code == .deadlineExceeded }
}
