public import Domain
public import TimeAndChance

/// The times and limits of a KeyKeeper.
public struct KeyKeeperConfiguration: Sendable {
  /// What all services agree on.
  public var timing = Timing()

  /// How often the first of those who wait here asks the cache again, when nothing else gives cause to: 25 ms, with a
  /// jitter of a fifth.
  public var pollInterval: Duration = .milliseconds(25)
  /// How much longer than the store the cache counts a key as leased. Both begin to count when they hear of the lease, the
  /// store a little later; without this, each expiry would bring a grant that is refused.
  public var expirySlack: Duration = .milliseconds(250)
  /// How long before the deadline of its call a caller hears that no key became free; at most a tenth of its time.
  public var answerMargin: Duration = .milliseconds(100)
  /// How many callers may wait here for a key of one algorithm.
  public var waiters = 10_000

  /// How often a step is tried that a store or cache could not do, before its callers hear of it.
  public var attempts = 4
  /// The pauses between these.
  public var backoff = Backoff(initial: .milliseconds(50), maximum: .seconds(1))
  /// How many picks of the cache may turn out stale for one caller.
  public var staleGrants = 8

  /// The most leases in one call of the store or one round trip to the cache.
  public var batch = 256
  /// How long releases are collected before they are written into the audit trail.
  public var recordInterval: Duration = .milliseconds(50)
  /// How many releases may wait to be written; more are left out of the audit trail.
  public var unrecordedReleases = 10_000

  /// How long an encrypted private key is kept after it was read from the store.
  public var secretLifetime: Duration = .seconds(60)
  /// How many are kept.
  public var secrets = 2_000

  /// How often the cache is compared with the store.
  public var reconcileInterval: Duration = .seconds(30)
  /// How often `watchKeys` looks.
  public var watchInterval: Duration = .seconds(5)
  /// How many keys are generated at a time.
  public var generators = 2

  /// The defaults.
  public init() {}
}
