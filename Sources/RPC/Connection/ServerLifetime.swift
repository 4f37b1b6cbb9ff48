import TimeAndChance

/// When a server wants a connection to end, because it is old or has nothing to do, and how far that has come: a pure value.
struct ServerLifetime: Sendable {
  /// How far the end has come.
  enum Phase: Sendable, Hashable {
    case serving
    /// The client was told that the connection will end, and may not know it yet.
    case announced(until: ContinuousClock.Instant)
    /// The client knows which calls are the last.
    case ending
  }

  /// How long a client may take to hear that a connection ends.
  static let announcementTimeout = Duration.seconds(1)

  var phase = Phase.serving
  private let oldAt: ContinuousClock.Instant?
  private let maximumIdle: Duration?
  private var idleAt: ContinuousClock.Instant?

  /// The age is jittered by a tenth, so that not all clients come back at once.
  init(_ limits: ConnectionLimits, now: ContinuousClock.Instant, random: any RandomSource) {
    oldAt = limits.maximumAge.map { now.advanced(by: $0 * random.next(in: 0.9...1.1)) }
    maximumIdle = limits.maximumIdle
    idleAt = limits.maximumIdle.map { now.advanced(by: $0) }
  }

  /// When to look again; nil for never.
  var next: ContinuousClock.Instant? {
    switch phase {
    case .serving: [oldAt, idleAt].compactMap { $0 }.min()
    case .announced(let until): until
    case .ending: nil
    }
  }

  /// The last call has ended; returns when to look again.
  mutating func becameIdle(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    idleAt = maximumIdle.map { now.advanced(by: $0) }
    return idleAt
  }

  /// A call has begun.
  mutating func becameBusy() { idleAt = nil }

  /// Whether it is time to end.
  func isOver(at now: ContinuousClock.Instant) -> Bool {
    if case .serving = phase, let next { return next <= now }
    return false
  }
}
