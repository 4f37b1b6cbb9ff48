import Synchronization

/// A value that one task waits for and another gives: exactly one of them knows that it came to nothing.
final class Reply<Value: Sendable>: Sendable {
  private enum State {
    case pending
    case awaited(CheckedContinuation<Value?, Never>)
    case given(Value)
    case over
  }

  private let state = Mutex(State.pending)

  /// Whether nobody waits any more.
  var isOver: Bool {
    state.withLock { state in
      switch state {
      case .pending, .awaited: false
      case .given, .over: true
      }
    }
  }

  /// Gives the value, once. Returns false if nobody waits any more: then it is the giver's to undo what it stands for.
  func give(_ value: Value) -> Bool {
    let (isTaken, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Value?, Never>?) in
      switch state {
      case .pending:
        state = .given(value)
        return (true, nil)
      case .awaited(let continuation):
        state = .over
        return (true, continuation)
      case .given, .over: return (false, nil)
      }
    }
    continuation?.resume(returning: value)
    return isTaken
  }

  /// Waits for the value; nil if the task is cancelled first, after which none is taken. `onAbandon` is called then.
  func wait(onAbandon: @escaping @Sendable () -> Void) async -> Value? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let value = state.withLock { state -> Value?? in
          switch state {
          case .pending:
            state = .awaited(continuation)
            return nil
          case .given(let value):
            state = .over
            return value
          case .awaited, .over: return .some(nil)
          }
        }
        if let value { continuation.resume(returning: value) }
      }
    } onCancel: {
      let (isAbandoned, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Value?, Never>?) in
        switch state {
        case .pending:
          state = .over
          return (true, nil)
        case .awaited(let continuation):
          state = .over
          return (true, continuation)
        case .given, .over: return (false, nil)
        }
      }
      if isAbandoned { onAbandon() }
      continuation?.resume(returning: nil)
    }
  }
}
