import Synchronization

/// Wakes one waiting task. Rings that come while nobody waits are remembered as one: whoever waits next goes on at once and
/// looks again, so nothing that happened before a look is missed.
public final class Doorbell: Sendable {
  private struct State {
    var hasRung = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// A bell that has not rung.
  public init() {}

  /// Wakes the waiter, or the next one.
  public func ring() {
    let waiter = state.withLock { state in
      state.hasRung = state.waiter == nil
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  /// Waits for a ring since the last wait. Returns early when the task is cancelled. One task at a time may wait.
  public func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          precondition(state.waiter == nil, "two tasks wait at one doorbell")
          if state.hasRung || Task.isCancelled {
            state.hasRung = false
            return true
          }
          state.waiter = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      ring()
    }
  }

  /// Waits as `wait` does, and no longer than until `instant` if there is one.
  public func wait(until instant: ContinuousClock.Instant?, _ clock: any ServiceClock) async {
    guard let instant, !state.withLock({ $0.hasRung }) else { return await wait() }
    _ = await clock.run(atMost: clock.now.duration(to: instant)) { await self.wait() }
  }
}
