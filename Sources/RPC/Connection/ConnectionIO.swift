/// What a transport lends to a connection. The connection holds all protocol state; the transport moves bytes, as
/// `DrivenConnection` says.
public protocol ConnectionIO: Sendable {
  /// Where the handlers of this connection run: one thread at a time. It must not run a job inside `enqueue`.
  var executor: any TaskExecutor { get }
  /// Who is at the other end.
  var peer: PeerInfo { get }
  /// The connection has something for its transport: `demand` and `takeOutbound` are to be called soon, from where the
  /// transport drives the connection. Returns at once; called from any thread, and not again until `demand` was.
  func wake()
}

/// What a transport drives: either end of a connection. One thread at a time may drive it.
///
/// After `wake`, and after each call of `receive` and `timerFired`, a transport calls `demand` and does what it says, then
/// calls `takeOutbound` as long as it can write and there are bytes. When it could not write all of them it comes back for
/// the rest without being woken.
public protocol DrivenConnection: AnyObject, Sendable {
  /// Bytes arrived.
  func receive(_ bytes: RawSpan)
  /// What the connection wants of its transport now.
  func demand() -> TransportDemand
  /// Exchanges `buffer`, which must be empty, for the bytes that are to be written; it stays empty when there are none.
  func takeOutbound(_ buffer: inout [UInt8])
  /// The instant came that `demand` named.
  func timerFired()
  /// Nothing was written for a while: large buffers may go.
  func tidy()
  /// The connection is gone, and why. May be called more than once.
  func closed(_ error: RPCError)
}

/// What a connection wants of its transport: levels, not events, so that none is lost and the last word counts.
public struct TransportDemand: Sendable, Hashable {
  /// Whether to read; false while consumers are behind.
  public var reads = true
  /// When to call `timerFired`; nil for never. An earlier call does no harm.
  public var timer: ContinuousClock.Instant?
  /// Whether to close once all bytes to be written are.
  public var closes = false

  /// What a new connection wants: to read.
  public init() {}
}
