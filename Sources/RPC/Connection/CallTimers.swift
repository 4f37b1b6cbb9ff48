/// When something on a connection may be due: deadlines of calls, and consumers that keep it from reading.
///
/// There is no queue of deadlines: nearly every call ends long before its own, so a queue would hold thousands of stale
/// entries. `next` is a lower bound of what is due; when it comes, one pass over the running calls finds the expired ones
/// and the next bound. Passes are at least `granularity` apart, whatever deadlines a peer chooses.
struct CallTimers {
  static let granularity = Duration.milliseconds(1)

  /// When to look; nil for never.
  private(set) var next: ContinuousClock.Instant?
  private var lastPass: ContinuousClock.Instant?
  private var stalls: [StreamID: ContinuousClock.Instant] = [:]

  /// Whether a consumer is so far behind that the connection must not read.
  var isStalled: Bool { !stalls.isEmpty }

  /// Something may be due at `instant`.
  mutating func require(_ instant: ContinuousClock.Instant) {
    let bound = if let lastPass { max(instant, lastPass.advanced(by: Self.granularity)) } else { instant }
    next = if let next { min(next, bound) } else { bound }
  }

  /// The consumer of the call must catch up by `limit`.
  mutating func beginStall(of id: StreamID, until limit: ContinuousClock.Instant) {
    stalls[id] = limit
    require(limit)
  }

  /// The consumer of the call caught up, or the call has ended and nothing more can come for it.
  mutating func endStall(of id: StreamID) {
    if !stalls.isEmpty { stalls[id] = nil }
  }

  /// Looks through the deadlines of the calls that run, if it is time to: what is due, in the order of ids.
  mutating func pass(
    at now: ContinuousClock.Instant, _ deadlines: some Sequence<(id: StreamID, deadline: ContinuousClock.Instant?)>
  ) -> (expired: [StreamID], stalled: [StreamID]) {
    guard let due = next, due <= now else { return ([], []) }
    lastPass = now
    next = nil
    var expired: [StreamID] = []
    for (id, deadline) in deadlines {
      guard let deadline else { continue }
      if deadline <= now { expired.append(id) } else { require(deadline) }
    }
    var stalled: [StreamID] = []
    for (id, limit) in stalls {
      if limit <= now { stalled.append(id) } else { require(limit) }
    }
    return (expired.sorted(), stalled.sorted())
  }
}
