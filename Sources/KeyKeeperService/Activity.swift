import Synchronization

/// Counts what is under way, so that a KeyKeeper that drains knows when it is done.
final class Activity: Sendable {
  private struct State {
    var count = 0
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Something begins. What follows from it begins before it ends.
  func begin(_ count: Int = 1) {
    state.withLock { $0.count += count }
  }

  func end(_ count: Int = 1) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.count -= count
      precondition(state.count >= 0, "more has ended than had begun")
      guard state.count == 0 else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Waits until nothing is under way; whether or not the task is cancelled.
  func quiet() async {
    await withCheckedContinuation { continuation in
      let isQuiet = state.withLock { state in
        if state.count > 0 { state.waiters.append(continuation) }
        return state.count == 0
      }
      if isQuiet { continuation.resume() }
    }
  }
}
