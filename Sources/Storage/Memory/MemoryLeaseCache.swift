public import Domain
import Synchronization
public import TimeAndChance

/// A lease cache in the memory of one process, for tests, the simulator, and running without Redis. What it does follows
/// from its calls and the clock alone.
public final class MemoryLeaseCache: LeaseCache {
  private let clock: any ServiceClock
  private let limits: LeaseCacheLimits
  private let tables = Mutex<[SignatureAlgorithm: LeaseTable]>([:])

  private let sabotage: Sabotage?

  /// An empty cache, which must be rebuilt before it gives out keys. With `sabotage` it may break a promise.
  public init(clock: any ServiceClock, limits: LeaseCacheLimits = LeaseCacheLimits(), sabotage: Sabotage? = nil) {
    self.sabotage = sabotage
    self.clock = clock
    self.limits = limits
  }

  /// Forgets everything, as Redis does when it is flushed or restarted.
  public func forget() {
    tables.withLock { $0 = [:] }
  }

  /// See `LeaseCache`.
  public func take(_ requests: [TakeRequest]) async throws(StorageError) -> [TakeOutcome] {
    let now = clock.now
    return requests.map { request in change(request.algorithm) { $0.take(request, at: now) } }
  }

  /// See `LeaseCache`.
  public func leave(_ waiters: [WaiterID], algorithm: SignatureAlgorithm) async throws(StorageError) {
    change(algorithm) { table in
      for waiter in waiters { table.leave(waiter) }
    }
  }

  /// See `LeaseCache`.
  public func renew(
    _ lease: LeaseName, algorithm: SignatureAlgorithm, ttl: Duration
  ) async throws(StorageError) -> Bool {
    let now = clock.now
    return change(algorithm) { $0.renew(lease, ttl: ttl, at: now) }
  }

  /// See `LeaseCache`.
  public func release(
    _ leases: [LeaseName], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> [DecisionNumber?] {
    change(algorithm) { table in leases.map { table.release($0) } }
  }

  /// See `LeaseCache`.
  @discardableResult
  public func install(
    generation: Int64, algorithm: SignatureAlgorithm, keys: [LeasedKeyState], unreleasedTTL: Duration
  ) async throws(StorageError) -> Bool {
    try LeaseCacheLimits.check(keyCount: keys.count, algorithm)
    let now = clock.now
    return change(algorithm) {
      $0.install(generation: generation, keys: keys, unreleasedTTL: unreleasedTTL, at: now)
    }
  }

  /// See `LeaseCache`.
  public func update(
    _ updates: [KeyUpdate], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> UpdateOutcome {
    let now = clock.now
    return change(algorithm) { $0.update(updates, at: now) }
  }

  /// See `LeaseCache`.
  public func occupancy(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> LeaseOccupancy? {
    change(algorithm) { $0.occupancy }
  }

  private func change<Result: Sendable>(
    _ algorithm: SignatureAlgorithm, _ body: (inout LeaseTable) -> Result
  ) -> Result {
    tables.withLock {
      body(&$0[algorithm, default: LeaseTable(limits: limits, picksNewest: sabotage == .mostRecentlyUsed)])
    }
  }
}

extension LeaseCacheLimits {
  /// Throws `wrongState` when there are more keys than a cache takes.
  package static func check(keyCount: Int, _ algorithm: SignatureAlgorithm) throws(StorageError) {
    guard keyCount <= keys else {
      throw StorageError(
        .wrongState, "there are \(keyCount) active \(algorithm) keys, and the limit is \(keys): retire some")
    }
  }
}
