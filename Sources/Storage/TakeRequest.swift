public import Domain

/// A wish for a key.
public struct TakeRequest: Sendable, Hashable {
  /// What kind of key.
  public var algorithm: SignatureAlgorithm
  /// Which call; the same in every repetition.
  public var waiter: WaiterID
  /// The lease that the key will be under; the same in every repetition until a pick has failed.
  public var leaseID: LeaseID
  /// How long the lease lives without being renewed.
  public var ttl: Duration
  /// The place in line of an earlier pick for this waiter that could not be granted: it gets the place back. Else nil.
  public var ticket: Int64?

  /// Makes a wish.
  public init(
    algorithm: SignatureAlgorithm, waiter: WaiterID, leaseID: LeaseID, ttl: Duration, ticket: Int64? = nil
  ) {
    self.algorithm = algorithm
    self.waiter = waiter
    self.leaseID = leaseID
    self.ttl = ttl
    self.ticket = ticket
  }
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

/// What `take` did for one request.
public struct TakeOutcome: Sendable, Hashable {
  /// What the waiter gets.
  public enum Result: Sendable, Hashable {
    /// A key.
    case picked(LeasePick)
    /// A place in the line (0 is its head) under a ticket, which stays the same as long as the line is kept; and how long
    /// until the next lease expires: zero if one has expired already, nil if there is none.
    case queued(position: Int, ticket: Int64, nextExpiry: Duration?)
    /// Nothing: as many callers wait as may, which is `limit`.
    case lineFull(limit: Int)
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

/// A key that the cache has picked for a waiter.
public struct LeasePick: Sendable, Hashable {
  /// The key.
  public var keyID: KeyID
  /// Its epoch before this pick, as last known.
  public var epoch: Epoch
  /// The number of the pick.
  public var decision: DecisionNumber
  /// Since when the key was free, as a number of the same sequence.
  public var rank: Int64
  /// The waiter's place in line.
  public var ticket: Int64

  /// Makes a pick.
  public init(keyID: KeyID, epoch: Epoch, decision: DecisionNumber, rank: Int64, ticket: Int64) {
    self.keyID = keyID
    self.epoch = epoch
    self.decision = decision
    self.rank = rank
    self.ticket = ticket
  }
}
