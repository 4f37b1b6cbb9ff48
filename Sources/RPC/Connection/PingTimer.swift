/// When to ping a peer, and when to give it up: a pure value.
struct PingTimer: Sendable {
  enum Due: Sendable, Hashable {
    case nothing
    case ping
    /// No answer came in time.
    case gone
  }

  private let keepalive: Keepalive
  private let interval: Duration
  private var lastWord: ContinuousClock.Instant
  private var pingedAt: ContinuousClock.Instant?

  /// Pings as `keepalive` says, but not oftener than the peer allows.
  init(_ keepalive: Keepalive, peerAllows minimum: Duration, now: ContinuousClock.Instant) {
    self.keepalive = keepalive
    interval = max(keepalive.interval, minimum)
    lastWord = now
  }

  /// When to look again.
  var next: ContinuousClock.Instant {
    if let pingedAt { return pingedAt.advanced(by: keepalive.timeout) }
    return lastWord.advanced(by: interval)
  }

  /// Something came from the peer.
  mutating func heard(at now: ContinuousClock.Instant) {
    lastWord = now
    pingedAt = nil
  }

  /// What is to be done now.
  mutating func check(at now: ContinuousClock.Instant, hasCalls: Bool) -> Due {
    guard next <= now else { return .nothing }
    if pingedAt != nil { return .gone }
    guard hasCalls || keepalive.withoutCalls else {
      lastWord = now
      return .nothing
    }
    pingedAt = now
    return .ping
  }
}
