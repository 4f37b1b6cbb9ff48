import HeapModule
import Synchronization
public import TimeAndChance

/// A clock that stands still until it is told to move: the time of a simulation.
public final class VirtualClock: ServiceClock {
  /// As on the real clock, so that services cannot tell the two apart.
  public typealias Instant = ContinuousClock.Instant

  private struct Sleeper: Comparable {
    let wake: Instant
    let number: Int
    let continuation: CheckedContinuation<Bool, Never>

    static func < (left: Sleeper, right: Sleeper) -> Bool { (left.wake, left.number) < (right.wake, right.number) }
    static func == (left: Sleeper, right: Sleeper) -> Bool { left.number == right.number }
  }

  private struct State {
    var now: Instant
    var sleepers = Heap<Sleeper>()
    var nextNumber = 0
    var cancelled: Set<Int> = []
  }

  /// When the simulation began.
  public let start: Instant
  private let state: Mutex<State>

  /// A clock that stands at an arbitrary instant.
  public init() {
    start = ContinuousClock.now
    state = Mutex(State(now: start))
  }

  /// The time now.
  public var now: Instant { state.withLock { $0.now } }

  /// How long the simulation has lasted.
  public var elapsed: Duration { start.duration(to: now) }

  /// A tick of the real clock.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Suspends until the clock has been moved to `deadline`; throws `CancellationError` when the task is cancelled first.
  public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    try Task.checkCancellation()
    let number = state.withLock { state in
      state.nextNumber += 1
      return state.nextNumber
    }
    let hasSlept = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let outcome = state.withLock { state -> Bool? in
          if state.cancelled.remove(number) != nil { return false }
          if deadline <= state.now { return true }
          state.sleepers.insert(Sleeper(wake: deadline, number: number, continuation: continuation))
          return nil
        }
        if let outcome { continuation.resume(returning: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { state -> Sleeper? in
        let all = state.sleepers.unordered
        guard let sleeper = all.first(where: { $0.number == number }) else {
          state.cancelled.insert(number)
          return nil
        }
        state.sleepers = Heap(all.filter { $0.number != number })
        return sleeper
      }
      sleeper?.continuation.resume(returning: false)
    }
    state.withLock { _ = $0.cancelled.remove(number) }
    if !hasSlept { throw CancellationError() }
  }

  /// Moves to the next instant at which somebody wakes, and wakes those; returns false when nobody sleeps.
  public func advanceToNextWake() -> Bool {
    let woken = state.withLock { state -> [Sleeper] in
      guard let next = state.sleepers.min else { return [] }
      state.now = max(state.now, next.wake)
      var woken: [Sleeper] = []
      while let sleeper = state.sleepers.min, sleeper.wake <= state.now { woken.append(state.sleepers.removeMin()) }
      return woken
    }
    for sleeper in woken { sleeper.continuation.resume(returning: true) }
    return !woken.isEmpty
  }
}
