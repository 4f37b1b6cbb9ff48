import Storage
import Synchronization
import TimeAndChance

/// Decides about every call of the simulated database.
final class FaultyDatabase: Sendable {
  private struct State {
    var isAway = false
    /// The connection is lost at one of so many calls; 0 for none.
    var losesOneOf = 0
    var hits = 0
  }

  private let clock: any ServiceClock
  private let random: any RandomSource
  private let state = Mutex(State())
  private let trace: @Sendable (String) -> Void

  /// A database without faults. `trace` is told of every call that fails.
  init(clock: any ServiceClock, random: any RandomSource, trace: @escaping @Sendable (String) -> Void) {
    self.clock = clock
    self.random = random
    self.trace = trace
  }

  /// How many calls have failed.
  var hits: Int { state.withLock { $0.hits } }

  /// Whether it cannot be reached.
  func setAway(_ isAway: Bool) { state.withLock { $0.isAway = isAway } }

  /// Loses the connection at one of so many calls, half of the time when the call was made; 0 for none.
  func lose(oneOf count: Int) { state.withLock { $0.losesOneOf = count } }

  /// Ends what is wrong.
  func heal() {
    setAway(false)
    lose(oneOf: 0)
  }

  /// What becomes of the next call, which takes its time.
  func fate() async -> StoreFate {
    // Ends early only when the task is cancelled, in the middle of the call.
    try? await clock.sleep(for: .microseconds(100 + random.next(below: 5000)))
    let fate = state.withLock { state -> StoreFate in
      let isLost = state.losesOneOf > 0 && random.next(below: state.losesOneOf) == 0
      guard state.isAway || isLost else { return .made }
      state.hits += 1
      return !state.isAway && random.next(below: 2) == 0 ? .outcomeUnknown : .unavailable
    }
    if fate != .made { trace("database \(fate)") }
    return fate
  }
}
