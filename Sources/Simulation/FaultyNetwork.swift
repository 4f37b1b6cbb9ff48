public import RPCMemory
import Synchronization
public import TimeAndChance

/// What a simulated network does to deliveries: delays, resets, partitions. The world's seed decides.
///
/// Connections are streams, as TCP's are: what is lost on one breaks it, and what is sent again comes on another. Messages
/// are reordered between connections, by their delays.
public final class FaultyNetwork: Sendable {
  private struct State {
    var longestDelay: Duration = .milliseconds(2)
    /// One of so many deliveries resets its connection; 0 for none.
    var resetsOneOf = 0
    /// Which links deliver nothing until when.
    var cut: [MemoryNetwork.Link: ContinuousClock.Instant] = [:]
    var resets = 0
    var delivered = 0
    var held = 0
  }

  private let clock: any ServiceClock
  private let random: any RandomSource
  private let state = Mutex(State())
  private let trace: @Sendable (String) -> Void

  /// A network without faults. `trace` is told of every delivery.
  public init(clock: any ServiceClock, random: any RandomSource, trace: @escaping @Sendable (String) -> Void) {
    self.clock = clock
    self.random = random
    self.trace = trace
  }

  /// The hook of a `MemoryNetwork`.
  public func fate(_ link: MemoryNetwork.Link, _ byteCount: Int) -> MemoryNetwork.Fate {
    let now = clock.now
    let fate = state.withLock { state -> MemoryNetwork.Fate in
      state.delivered += 1
      if state.resetsOneOf > 0, random.next(below: state.resetsOneOf) == 0 {
        state.resets += 1
        return .reset
      }
      var delay = Duration.microseconds(random.next(below: Int(state.longestDelay.inSeconds * 1e6) + 1))
      if let until = state.cut[link], until > now {
        state.held += 1
        // An attempt to connect fails at once, or nobody would ever try again.
        if byteCount == 0 { return .reset }
        delay += now.duration(to: until)
      }
      return .deliver(after: delay)
    }
    trace("\(link.source)>\(link.destination) \(byteCount) \(fate)")
    return fate
  }

  /// Delivers nothing between two processes for a while, one way or both ways.
  func cut(_ a: String, _ b: String, bothWays: Bool, for duration: Duration) {
    let until = clock.now.advanced(by: duration)
    state.withLock { state in
      state.cut[MemoryNetwork.Link(source: a, destination: b)] = until
      if bothWays { state.cut[MemoryNetwork.Link(source: b, destination: a)] = until }
    }
  }

  func slow(to longestDelay: Duration) { state.withLock { $0.longestDelay = longestDelay } }
  func reset(oneOf count: Int) { state.withLock { $0.resetsOneOf = count } }

  /// Ends all faults; what is held back arrives when it would have.
  func heal() {
    state.withLock { state in
      state.cut = [:]
      state.resetsOneOf = 0
      state.longestDelay = .milliseconds(2)
    }
  }

  /// How many deliveries were reset, and how many held back by a partition.
  var hits: (resets: Int, held: Int) { state.withLock { ($0.resets, $0.held) } }
}
