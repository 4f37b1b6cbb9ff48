import Synchronization

/// The errors of the driver whose connections a ``LeasePool`` lends.
package protocol LeaseFailure: Error {
  /// No connection became free in time; `reason` completes "no connection: …".
  static func poolExhausted(_ reason: String) -> Self
  static func poolClosed() -> Self
  static func leaseCancelled() -> Self
  static func leaseDeadlineExceeded(lastFailure: Self?) -> Self

  /// For an error of opening a connection: whether another attempt may succeed with the same configuration.
  var isWorthReconnecting: Bool { get }
  /// For an error of opening a connection: whether the caller's own cancellation or deadline was the cause.
  var isCallersChoice: Bool { get }
}

/// Lends a bounded number of connections to callers in the order in which they came.
///
/// Connections are opened by the task that needs one, so nothing runs here that no caller waits for. A connection that
/// is no longer usable is replaced when it is next wanted. While the server cannot be reached, one caller at a time tries
/// to, after a jittered backoff, and the others wait: after a restart of the server the pool recovers by itself.
package final class LeasePool<Connection: LeasedConnection, Failure: LeaseFailure>: Sendable {
  private let limits: PoolLimits
  private let jitter: @Sendable () -> Double
  private let open: @Sendable (ContinuousClock.Instant) async throws(Failure) -> Connection
  private let queue: LeaseQueue
  private let lastFailure = Mutex<Failure?>(nil)

  /// - Parameters:
  ///   - jitter: a source of random numbers in 0..<1.
  ///   - open: opens a connection before the given instant.
  package init(
    limits: PoolLimits, jitter: @escaping @Sendable () -> Double,
    open: @escaping @Sendable (ContinuousClock.Instant) async throws(Failure) -> Connection
  ) {
    self.limits = limits
    self.jitter = jitter
    self.open = open
    queue = LeaseQueue(limits: limits)
  }

  package var statistics: PoolStatistics { queue.statistics }

  /// Lends a connection; the caller gives it back with ``giveBack(_:)``.
  package func lease(deadline: ContinuousClock.Instant?) async throws(Failure) -> Connection {
    if Task.isCancelled { throw .leaseCancelled() }
    var limit: ContinuousClock.Instant?
    var isFirst = false
    while true {
      var grant: LeaseQueue.State.Grant
      switch queue.lease(isFirst: isFirst) {
      case .granted(let granted): grant = granted
      case .exhausted: throw .poolExhausted("\(limits.waiters) callers wait already")
      case .closed: throw .poolClosed()
      case .wait(let waiter):
        // Computed once, and only by those who must wait or open.
        let until = limit ?? limitOfWaiting(deadline)
        limit = until
        switch await queue.wait(as: waiter, until: until) {
        case .granted(let granted): grant = granted
        case .timedOut: throw timeoutFailure(deadline)
        case .cancelled: throw .leaseCancelled()
        case .closed: throw .poolClosed()
        }
      }

      switch grant {
      case .connection(let connection):
        // All connections of the queue come from `open`.
        if connection.isReusable { return unsafeDowncast(connection, to: Connection.self) }
        await discard(connection)
      case .open:
        let until = limit ?? limitOfWaiting(deadline)
        limit = until
        if let connection = try await openConnection(until: until, deadline: deadline) { return connection }
      }
      isFirst = true
    }
  }

  /// Takes back a lent connection, and closes it if it is of no more use.
  package func giveBack(_ connection: Connection) async {
    guard connection.isReusable else { return await discard(connection) }
    for surplus in queue.returned(connection) { await surplus.close() }
  }

  /// Refuses new callers and those who wait, closes idle connections, and waits for the lent ones to come back.
  package func close() async {
    for connection in queue.close() { await connection.close() }
    await queue.drain()
  }

  /// Nil: the attempt failed in a way that may pass; ask again.
  private func openConnection(
    until limit: ContinuousClock.Instant, deadline: ContinuousClock.Instant?
  ) async throws(Failure) -> Connection? {
    do {
      let connection = try await open(limit)
      lastFailure.withLock { $0 = nil }
      queue.opened()
      return connection
    } catch {
      if error.isCallersChoice && (Task.isCancelled || limit <= .now) {
        queue.openAbandoned()
        if Task.isCancelled { throw .leaseCancelled() }
        throw timeoutFailure(deadline)
      }
      lastFailure.withLock { $0 = error }
      let random = jitter()
      queue.openFailed { limits.backoff.delay(afterFailures: $0, random: random) }
      guard error.isWorthReconnecting else { throw error }
      return nil
    }
  }

  private func discard(_ connection: any LeasedConnection) async {
    await connection.close()
    queue.discarded()
  }

  private func limitOfWaiting(_ deadline: ContinuousClock.Instant?) -> ContinuousClock.Instant {
    let limit = ContinuousClock.now + limits.leaseTimeout
    return deadline.map { min($0, limit) } ?? limit
  }

  private func timeoutFailure(_ deadline: ContinuousClock.Instant?) -> Failure {
    let lastFailure = lastFailure.withLock { $0 }
    if let deadline, deadline <= .now { return .leaseDeadlineExceeded(lastFailure: lastFailure) }
    return lastFailure
      ?? .poolExhausted("none of \(limits.connections) became free within \(limits.leaseTimeout)")
  }
}
