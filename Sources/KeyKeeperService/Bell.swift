import Synchronization
import TimeAndChance

/// Wakes the one task that waits, or the next time it would wait.
final class Bell: Sendable {
  private struct State {
    var isRung = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  func ring() {
    let waiter = state.withLock { state in
      if state.waiter == nil { state.isRung = true }
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  /// Returns when the bell is rung, at an instant if there is one, or when the task is cancelled.
  func wait(until instant: ContinuousClock.Instant?, _ clock: any ServiceClock) async {
    guard let instant else { return await wait() }
    if state.withLock({ $0.isRung }) { return await wait() }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.wait() }
      // Cancelled when the bell is rung first.
      group.addTask { try? await clock.sleep(until: instant, tolerance: nil) }
      await group.next()
      group.cancelAll()
    }
  }

  private func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if state.isRung || Task.isCancelled {
            state.isRung = false
            return true
          }
          state.waiter = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        defer { state.waiter = nil }
        return state.waiter
      }
      waiter?.resume()
    }
  }
}
