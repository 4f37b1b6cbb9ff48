public import Domain
public import TimeAndChance

/// How a signer works.
public struct SignerOptions: Sendable {
  /// For people, such as a host or pod name.
  public var name: String
  /// What it can sign with.
  public var algorithms: [SignatureAlgorithm] = SignatureAlgorithm.allCases
  /// The times that all services agree on.
  public var timing = Timing()
  /// Batches that it takes at a time, over all coordinators: enough that no thread waits for records or keys.
  public var batches: Int
  /// Payload bytes that may be on their way to it, over all coordinators.
  public var payloadBytes = 64 * 1024 * 1024
  /// How long a stopping signer finishes what it has.
  public var drainTimeout: Duration = .seconds(20)
  /// The pause before it tries again to reach a coordinator.
  public var backoff = Backoff(initial: .milliseconds(50), maximum: .seconds(2))

  /// Options for a signer with `threads` compute threads.
  public init(name: String, threads: Int) {
    self.name = name
    // One is being signed by each thread; the others are claimed, read, sent, or wait for a key, all on cores that are busy
    // signing. With three for each thread, threads waited for 3 % of the time of a short job.
    batches = 5 * threads
  }
}
