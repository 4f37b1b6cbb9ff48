public import Domain
public import Manifest
public import TimeAndChance

/// How a coordinator works.
public struct CoordinatorOptions: Sendable {
  /// The times that all services agree on.
  public var timing = Timing()
  /// How often a coordinator without work asks the store for some; its own submissions are seen at once.
  public var pollInterval: Duration = .milliseconds(250)
  /// How often it checks that the store's idea of its batches is its own.
  public var reconcileInterval: Duration = .seconds(2)
  /// How often `watchBacklog` looks.
  public var backlogInterval: Duration = .seconds(5)
  /// The most batches claimed with one call of the store.
  public var claimLimit = 64
  /// The most results stored with one call of the store.
  public var commitGroup = 16
  /// How many calls that store results may be under way.
  public var commitConcurrency = 2
  /// How long a stopping coordinator lets signers finish what they have.
  public var drainTimeout: Duration = .seconds(20)
  /// How long to wait before a failed call of the store is tried again.
  public var storeBackoff = Backoff(initial: .milliseconds(50), maximum: .seconds(2))

  /// What seals manifests; nil: there are none.
  public var manifestSealing: ManifestSealing?

  /// The defaults.
  public init() {}
}

/// With what key manifests are signed, and what time it is then.
public struct ManifestSealing: Sendable {
  /// The coordinator's own key.
  public var signer: ManifestSigner
  /// The wall-clock time.
  public var wallClock: @Sendable () -> Timestamp

  /// Puts both together.
  public init(signer: ManifestSigner, wallClock: @escaping @Sendable () -> Timestamp) {
    self.signer = signer
    self.wallClock = wallClock
  }
}
