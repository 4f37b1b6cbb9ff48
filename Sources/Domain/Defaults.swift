/// The times and limits that the services agree on, in one place. Every one can be configured.
public struct Timing: Sendable, Hashable {
  /// How long a lease lives without being renewed.
  public var leaseTTL: Duration = .seconds(10)
  /// How long before the end of its lease a holder stops using the key.
  public var leaseMargin: Duration = .seconds(1)
  /// How long `Acquire` waits at most.
  public var acquireWait: Duration = .seconds(30)
  /// How often a signer says how far its batches are.
  public var progressInterval: Duration = .seconds(1)
  /// How long a batch may be without progress before it is taken back.
  public var progressTimeout: Duration = .seconds(3)
  /// How often a coordinator says that it lives.
  public var heartbeatInterval: Duration = .seconds(1)
  /// How old a coordinator's last heartbeat may be before others take its batches.
  public var heartbeatTimeout: Duration = .seconds(4)

  /// The defaults.
  public init() {}

  /// How often a holder extends its lease: three tries fit into a ttl.
  public var renewInterval: Duration { leaseTTL / 3 }

  /// The shortest and longest ttl that a holder may ask for.
  public static let leaseTTLRange: ClosedRange<Duration> = .seconds(1) ... .seconds(300)
}

/// Bounds of messages and streams.
public enum StreamLimits {
  /// The most payload or signature bytes in one message of a stream.
  public static let chunkBytes = 1024 * 1024
  /// The most records in one message of a stream.
  public static let chunkRecords = 10_000
}
