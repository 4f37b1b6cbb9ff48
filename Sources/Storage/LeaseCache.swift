public import Domain

/// The order in which keys are used and who waits for one: fast, shared by all KeyKeepers, and rebuildable. It mints nothing
/// that must last: what it picks becomes a lease only when a `KeyStore` grants it.
///
/// Every method is one atomic step. Decisions are numbered in the step that makes them.
public protocol LeaseCache: Sendable {
  /// Takes the least recently used free key for a waiter, or puts the waiter in line. Nobody overtakes: while others are in
  /// line, only the first of them gets a key. Also frees keys whose lease has expired, and drops waiters whose KeyKeeper
  /// has not called for two seconds.
  func take(_ request: TakeRequest) async throws(StorageError) -> TakeOutcome

  /// Takes a waiter out of the line.
  func leave(_ waiter: WaiterID, algorithm: SignatureAlgorithm) async throws(StorageError)

  /// Extends a lease to `ttl` from now; returns whether the cache has it.
  func renew(_ lease: LeaseName, algorithm: SignatureAlgorithm, ttl: Duration) async throws(StorageError) -> Bool

  /// Makes the key of a lease free, as the most recently used; nil if the cache does not have the lease.
  func release(_ lease: LeaseName, algorithm: SignatureAlgorithm) async throws(StorageError) -> DecisionNumber?

  /// Replaces all that the cache knows of an algorithm, unless it is at this generation or a later one. `keys` are in the
  /// order of use; a key with a lease is live for what remains of it, and at least for `unreleasedTTL`.
  func install(
    generation: Int64, algorithm: SignatureAlgorithm, keys: [LeasedKeyState], unreleasedTTL: Duration
  ) async throws(StorageError)

  /// Takes over what the store says of one key: added, enabled, disabled, retired, or leased by someone the cache does not
  /// know. Nil if the cache must be rebuilt first.
  func update(_ key: LeasedKeyState) async throws(StorageError) -> DecisionNumber?

  /// How many keys are free and leased, and how many callers wait.
  func occupancy(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> LeaseOccupancy
}

/// Names one waiting call: the KeyKeeper that holds it, and a number there.
public struct WaiterID: Sendable, Hashable, CustomStringConvertible {
  /// One per start of a KeyKeeper, a UUID in text form.
  public var keyKeeper: String
  /// Counted there.
  public var number: Int64

  /// Names a waiter.
  public init(keyKeeper: String, number: Int64) {
    self.keyKeeper = keyKeeper
    self.number = number
  }

  /// `keykeeper:number`.
  public var description: String { "\(keyKeeper):\(number)" }
}

/// A wish for a key.
public struct TakeRequest: Sendable, Hashable {
  /// What kind of key.
  public var algorithm: SignatureAlgorithm
  /// Which call; the same in every repetition.
  public var waiter: WaiterID
  /// The lease that the key will be under.
  public var leaseID: LeaseID
  /// How long the lease lives without being renewed.
  public var ttl: Duration

  /// Makes a wish.
  public init(algorithm: SignatureAlgorithm, waiter: WaiterID, leaseID: LeaseID, ttl: Duration) {
    self.algorithm = algorithm
    self.waiter = waiter
    self.leaseID = leaseID
    self.ttl = ttl
  }
}

/// What `take` did.
public struct TakeOutcome: Sendable, Hashable {
  /// What the waiter gets.
  public enum Result: Sendable, Hashable {
    /// This key, last known under this epoch; picked with this decision, free since `rank`.
    case picked(KeyID, Epoch, DecisionNumber, rank: Int64)
    /// A place in the line (0 is its head), and how long until the next lease expires, nil if there is none.
    case queued(position: Int, nextExpiry: Duration?)
    /// Nothing: the cache is empty or belongs to an earlier life of its server. Rebuild it.
    case mustRebuild
  }

  /// What the waiter gets.
  public var result: Result
  /// Leases that had expired, whose keys are free now.
  public var expired: [LeaseRelease]

  /// Makes an outcome.
  public init(result: Result, expired: [LeaseRelease]) {
    self.result = result
    self.expired = expired
  }
}

/// How busy the keys of an algorithm are.
public struct LeaseOccupancy: Sendable, Hashable {
  /// Keys that can be taken.
  public var free: Int
  /// Keys that are leased.
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
