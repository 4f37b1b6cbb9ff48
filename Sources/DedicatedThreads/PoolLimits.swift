/// What bounds a pool of connections.
public struct PoolLimits: Sendable, Equatable {
  /// How many connections may be open at a time; they are opened when needed.
  public var connections: Int
  /// How many callers may wait for a connection; those beyond are refused at once.
  public var waiters: Int
  /// How long a caller waits for a connection, including attempts to open one, if its own deadline is not earlier.
  public var leaseTimeout: Duration
  /// A connection that has been idle for longer is closed when another comes back.
  public var idleTimeout: Duration
  /// The delays between attempts to open a connection while the server cannot be reached.
  public var backoff: Backoff

  /// By default 8 connections, 1024 waiters, 5 s to wait, 60 s idle.
  public init(
    connections: Int = 8, waiters: Int = 1024, leaseTimeout: Duration = .seconds(5),
    idleTimeout: Duration = .seconds(60), backoff: Backoff = Backoff()
  ) {
    self.connections = connections
    self.waiters = waiters
    self.leaseTimeout = leaseTimeout
    self.idleTimeout = idleTimeout
    self.backoff = backoff
  }
}

/// A snapshot of a pool.
public struct PoolStatistics: Sendable, Equatable {
  /// Connections that are open: idle or lent.
  public var open: Int
  /// Connections that nobody uses.
  public var idle: Int
  /// Callers that wait at this moment.
  public var waiting: Int
  /// How many times a caller had to wait since the pool was made.
  public var totalWaits: UInt64
  /// Attempts to open a connection that have failed since the last success; above 0 the server cannot be reached.
  public var failedAttempts: Int
}
