public import Domain

/// The order in which keys are used and who waits for one: fast, shared by all KeyKeepers, and rebuildable. It mints nothing
/// that must last: what it picks becomes a lease only when a `KeyStore` grants it.
///
/// Each request, lease or update of a call is one atomic step, and the steps of a call are made in order. Decisions are
/// numbered in the step that makes them. A call whose outcome is unknown may be repeated unchanged.
public protocol LeaseCache: Sendable {
  /// Takes the least recently used free key for each waiter, or puts the waiter in line. Nobody overtakes: while others are
  /// in line, only the first of them gets a key. A request whose lease was picked before gets the same pick again.
  ///
  /// Also frees keys whose lease has expired, and drops those who would hold up the others: the waiters of a KeyKeeper that
  /// has not called `take` for `LeaseCacheLimits.keyKeeperTimeout`, and a head of the line that has not asked for as long.
  /// They may come back to the end of the line.
  func take(_ requests: [TakeRequest]) async throws(StorageError) -> [TakeOutcome]

  /// Takes waiters out of the line.
  func leave(_ waiters: [WaiterID], algorithm: SignatureAlgorithm) async throws(StorageError)

  /// Extends a lease to `ttl` from now; returns whether the cache has it.
  func renew(_ lease: LeaseName, algorithm: SignatureAlgorithm, ttl: Duration) async throws(StorageError) -> Bool

  /// Makes the keys of leases free, each as the most recently used; nil for a lease that the cache does not have.
  func release(
    _ leases: [LeaseName], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> [DecisionNumber?]

  /// Replaces all that the cache knows of the keys of an algorithm, unless it is at this generation or a later one; returns
  /// whether it did. `keys` are the active keys in the order of use, at most `LeaseCacheLimits.keys`; one with a lease is
  /// live for what remains of it, and at least for `unreleasedTTL`. Who is in line stays there.
  ///
  /// A key that was never leased has the rank 0, any other its place in `keys`, counted from 1; the sequence of decisions
  /// goes on after the last place.
  @discardableResult
  func install(
    generation: Int64, algorithm: SignatureAlgorithm, keys: [LeasedKeyState], unreleasedTTL: Duration
  ) async throws(StorageError) -> Bool

  /// Takes over what the store says of keys of an algorithm: added, enabled, disabled, retired, or leased by someone the
  /// cache does not know; all in one step, and with one decision if there is anything to take up.
  ///
  /// A key that is not active is forgotten. What the store said at an earlier epoch than the cache knows, or at the same, is
  /// ignored, unless the cache has the key under a lease that is known to be dead. A key that is taken up and not leased becomes free: with the
  /// rank 0 if it was never leased, else as the most recently used.
  func update(_ updates: [KeyUpdate], algorithm: SignatureAlgorithm) async throws(StorageError) -> UpdateOutcome

  /// How many keys are free and leased, and how many callers wait; nil if the cache must be rebuilt.
  func occupancy(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> LeaseOccupancy?
}

/// Bounds and times that all lease caches share.
public struct LeaseCacheLimits: Sendable, Hashable {
  /// How many callers may wait for a key of one algorithm.
  public var waiters = 10_000
  /// After how long without a call a waiter may be dropped; see `LeaseCache.take`.
  public var keyKeeperTimeout: Duration = .seconds(2)
  /// No lease ends later than this from now, whatever the clock did: the longest ttl and what a KeyKeeper adds to it.
  public var maximumTTL: Duration = Timing.leaseTTLRange.upperBound + .seconds(5)
  /// How many expired leases one step frees; the others wait for the next step.
  public var expirationsPerStep = 128

  /// The most keys of one algorithm.
  public static let keys = 100_000

  /// The defaults.
  public init() {}
}

/// How busy the keys of an algorithm are.
public struct LeaseOccupancy: Sendable, Hashable {
  /// Keys that can be taken.
  public var free: Int
  /// Keys that are leased, or whose lease has expired since the last `take`.
  public var leased: Int
  /// Calls that wait.
  public var waiting: Int

  /// Makes an occupancy.
  public init(free: Int, leased: Int, waiting: Int) {
    self.free = free
    self.leased = leased
    self.waiting = waiting
  }
}
