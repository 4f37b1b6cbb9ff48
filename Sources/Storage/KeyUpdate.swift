public import Domain

/// What the store says of a key, for a cache to take over.
public struct KeyUpdate: Sendable, Hashable {
  /// What the store says.
  public var state: LeasedKeyState
  /// A lease that the store has ended, refused or never seen: if the cache has the key under it, that is undone.
  public var deadLease: LeaseID?

  /// Makes an update.
  public init(_ state: LeasedKeyState, deadLease: LeaseID? = nil) {
    self.state = state
    self.deadLease = deadLease
  }
}

/// What became of an update.
public enum UpdateOutcome: Sendable, Hashable {
  /// The cache took these keys up with this decision; the store must make them grantable under its generation.
  case joined([KeyID], DecisionNumber)
  /// There was nothing to take up: the cache knew all this, or better, or has forgotten keys that are out of use.
  case known
  /// The cache must be rebuilt first: it is empty, belongs to an earlier life of its server, or its generation is older
  /// than that of a key.
  case mustRebuild
}
