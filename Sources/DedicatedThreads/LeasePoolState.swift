/// The decisions of a ``LeasePool`` as a pure value: who gets a connection, who waits, when a new one may be opened.
///
/// Each method takes the present instant and returns what the caller must do; nothing here blocks or calls out.
package struct LeasePoolState<Connection: Sendable> {
  /// What a waiter or a new caller is given.
  package enum Grant: Sendable {
    /// A connection that was idle.
    case connection(Connection)
    /// Leave to open a new connection; report with ``opened(now:)``, ``openFailed(retryAt:)`` or ``openAbandoned()``.
    case open
  }

  /// The answer to a caller who wants a connection.
  package enum Decision {
    case granted(Grant)
    /// Wait under this number until a grant names it.
    case wait(UInt64)
    /// As many callers wait as are allowed.
    case exhausted
    case closed
  }

  private struct Idle {
    let connection: Connection
    let since: ContinuousClock.Instant
  }

  package let maximumConnections: Int
  package let maximumWaiters: Int
  package let idleLimit: Duration

  /// The most recently used last: it is lent first, so that those at the front grow old and can be closed.
  private var idle: [Idle] = []
  private var waiters = FIFOQueue<UInt64>()
  private var lastWaiter: UInt64 = 0
  package private(set) var leased = 0
  package private(set) var opening = 0
  package private(set) var totalWaits: UInt64 = 0
  /// Attempts to open that failed since the last that succeeded.
  package private(set) var failures = 0
  private var retryAt: ContinuousClock.Instant?
  package private(set) var isClosed = false

  package init(maximumConnections: Int, maximumWaiters: Int, idleLimit: Duration) {
    precondition(maximumConnections > 0 && maximumWaiters >= 0, "a pool needs room for a connection")
    self.maximumConnections = maximumConnections
    self.maximumWaiters = maximumWaiters
    self.idleLimit = idleLimit
  }

  package var idleCount: Int { idle.count }
  package var waitingCount: Int { waiters.count }
  /// Whether nothing is lent or being opened, so that a closed pool is done.
  package var isQuiet: Bool { leased + opening == 0 }

  /// When to call ``grants(now:)`` though nothing else has happened: the end of a backoff that somebody waits for.
  package var nextWake: ContinuousClock.Instant? {
    waiters.isEmpty || opening > 0 || leased + idle.count >= maximumConnections ? nil : retryAt
  }

  /// A caller wants a connection. One who was granted something useless keeps his place with `isFirst`.
  package mutating func lease(now: ContinuousClock.Instant, isFirst: Bool = false) -> Decision {
    if isClosed { return .closed }
    if isFirst || waiters.isEmpty, let grant = nextGrant(now: now) { return .granted(grant) }
    if !isFirst, waiters.count >= maximumWaiters { return .exhausted }
    lastWaiter += 1
    totalWaits += 1
    if isFirst { waiters.prepend(lastWaiter) } else { waiters.append(lastWaiter) }
    return .wait(lastWaiter)
  }

  /// A waiter gives up. False if something has been granted to it already: then it must use or return that.
  package mutating func withdraw(_ waiter: UInt64) -> Bool {
    waiters.removeFirst { $0 == waiter } != nil
  }

  /// What can be granted to those who wait, in their order.
  package mutating func grants(now: ContinuousClock.Instant) -> [(waiter: UInt64, grant: Grant)] {
    var grants: [(UInt64, Grant)] = []
    while !waiters.isEmpty, let grant = nextGrant(now: now), let waiter = waiters.popFirst() {
      grants.append((waiter, grant))
    }
    return grants
  }

  /// A lent connection comes back fit for use. Returns those to close: itself in a closed pool, others idle too long.
  package mutating func returned(_ connection: Connection, now: ContinuousClock.Instant) -> [Connection] {
    leased -= 1
    if isClosed { return [connection] }
    idle.append(Idle(connection: connection, since: now))
    let old = idle.prefix { $0.since.duration(to: now) > idleLimit }
    idle.removeFirst(old.count)
    return old.map(\.connection)
  }

  /// A lent connection is of no use any more.
  package mutating func discarded() {
    leased -= 1
  }

  /// A connection was opened and is lent to him who opened it.
  package mutating func opened() {
    opening -= 1
    leased += 1
    failures = 0
    retryAt = nil
  }

  /// An attempt failed; the next may begin at `retryAt`.
  package mutating func openFailed(retryAt: ContinuousClock.Instant) {
    opening -= 1
    failures += 1
    self.retryAt = retryAt
  }

  /// An attempt was broken off by its caller, which says nothing about the server.
  package mutating func openAbandoned() {
    opening -= 1
  }

  /// Grants nothing from now on. Returns the idle connections, to be closed, and the waiters, to be refused.
  package mutating func close() -> (connections: [Connection], waiters: [UInt64]) {
    isClosed = true
    defer { idle = [] }
    return (idle.map(\.connection), waiters.removeAll())
  }

  private mutating func nextGrant(now: ContinuousClock.Instant) -> Grant? {
    if let last = idle.popLast() {
      leased += 1
      return .connection(last.connection)
    }
    guard leased + opening < maximumConnections else { return nil }
    // While the server fails, one attempt at a time asks whether it is back, and none before the backoff has passed.
    if failures > 0 {
      guard opening == 0, retryAt.map({ $0 <= now }) ?? true else { return nil }
    }
    opening += 1
    return .open
  }
}
