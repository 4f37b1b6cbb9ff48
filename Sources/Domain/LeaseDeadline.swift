/// Until when a holder may use a leased key: a bound that holds whatever the network did to request and reply.
///
/// The lease began no earlier than `waited` after the request was sent, and lives for `ttl`; the holder stops `margin`
/// before that. The clock must go on while the machine sleeps (`CLOCK_BOOTTIME`).
public struct LeaseDeadline: Sendable, Hashable {
  /// The instant at which the holder stops.
  public let instant: ContinuousClock.Instant

  /// The deadline of a lease that was asked for at `sent`.
  public init(sent: ContinuousClock.Instant, waited: Duration, ttl: Duration, margin: Duration) {
    instant = sent.advanced(by: waited + ttl - margin)
  }

  /// Whether the key may not be used any more.
  public func hasPassed(at now: ContinuousClock.Instant) -> Bool { now >= instant }
}
