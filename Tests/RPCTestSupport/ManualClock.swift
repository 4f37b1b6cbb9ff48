import Synchronization
import TimeAndChance

/// A clock that stands still until it is told to advance.
package final class ManualClock: ServiceClock {
  private struct Sleeper {
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now: ContinuousClock.Instant
    var lastTicket: UInt64 = 0
    var sleepers: [UInt64: Sleeper] = [:]
  }

  private let start = ContinuousClock.now
  private let state: Mutex<State>

  /// A clock that stands at an arbitrary instant.
  package init() { state = Mutex(State(now: start)) }

  /// Where it stands.
  package var now: ContinuousClock.Instant { state.withLock { $0.now } }

  /// How far it was advanced.
  package var elapsed: Duration { start.duration(to: now) }

  /// See `Clock`.
  package var minimumResolution: Duration { .nanoseconds(1) }

  /// How many tasks sleep.
  package var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// See `Clock`.
  package func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<Void, any Error>? in
          if Task.isCancelled { return .failure(CancellationError()) }
          if deadline <= state.now { return .success(()) }
          state.sleepers[ticket] = Sleeper(deadline: deadline, continuation: continuation)
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { $0.sleepers.removeValue(forKey: ticket) }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Moves the clock on and wakes whoever sleeps until then, in the order of their instants.
  package func advance(by duration: Duration) {
    let woken = state.withLock { state -> [Sleeper] in
      state.now = state.now.advanced(by: duration)
      let due = state.sleepers.filter { $0.value.deadline <= state.now }
        .sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
      for (ticket, _) in due { state.sleepers[ticket] = nil }
      return due.map(\.value)
    }
    for sleeper in woken { sleeper.continuation.resume() }
  }

  /// Moves the clock to the first instant for which somebody sleeps; returns false if nobody does.
  package func advanceToNextSleeper() -> Bool {
    let (now, next) = state.withLock { ($0.now, $0.sleepers.values.map(\.deadline).min()) }
    guard let next else { return false }
    advance(by: now.duration(to: next))
    return true
  }
}
