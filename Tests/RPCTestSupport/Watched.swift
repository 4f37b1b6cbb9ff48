import Synchronization

/// A value that tasks can wait for.
package final class Watched<Value: Sendable>: Sendable {
  private struct Waiter {
    let isMet: @Sendable (Value) -> Bool
    let continuation: CheckedContinuation<Value, Never>
  }

  private struct State {
    var value: Value
    var waiters: [Waiter] = []
  }

  private let state: Mutex<State>

  /// Starts at `value`.
  package init(_ value: Value) { state = Mutex(State(value: value)) }

  /// What it is now.
  package var value: Value { state.withLock { $0.value } }

  /// Changes the value.
  @discardableResult
  package func update<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    let (result, met, value) = state.withLock { state in
      let result = body(&state.value)
      let value = state.value
      let met = state.waiters.filter { $0.isMet(value) }
      state.waiters.removeAll { $0.isMet(value) }
      return (result, met, value)
    }
    for waiter in met { waiter.continuation.resume(returning: value) }
    return result
  }

  /// Waits until the value meets a condition; whether or not the task is cancelled.
  @discardableResult
  package func wait(until isMet: @escaping @Sendable (Value) -> Bool) async -> Value {
    await withCheckedContinuation { continuation in
      let met = state.withLock { state -> Value? in
        if isMet(state.value) { return state.value }
        state.waiters.append(Waiter(isMet: isMet, continuation: continuation))
        return nil
      }
      if let met { continuation.resume(returning: met) }
    }
  }
}
