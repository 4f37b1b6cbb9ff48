import TimeAndChance

/// What was decided while a connection's lock was held and is done once it is released: whatever runs then may call back
/// into the connection.
struct Deferred {
  private enum Action {
    case reply(ReplyContinuation, Result<ArraySlice<UInt8>, RPCError>?)
    case message(MessageContinuation, Result<ArraySlice<UInt8>?, RPCError>)
    case write(WriteContinuation, WriteOutcome)
    case cancel(Task<Void, Never>)
    case open(Latch)
    case run(@Sendable () -> Void)
  }

  private var actions: [Action] = []

  mutating func resume(_ continuation: ReplyContinuation, _ result: Result<ArraySlice<UInt8>, RPCError>?) {
    actions.append(.reply(continuation, result))
  }

  mutating func resume(_ continuation: MessageContinuation, _ result: Result<ArraySlice<UInt8>?, RPCError>) {
    actions.append(.message(continuation, result))
  }

  mutating func resume(_ continuation: WriteContinuation, _ outcome: WriteOutcome) {
    actions.append(.write(continuation, outcome))
  }

  mutating func cancel(_ task: Task<Void, Never>) { actions.append(.cancel(task)) }

  mutating func open(_ latch: Latch) { actions.append(.open(latch)) }

  mutating func run(_ body: @escaping @Sendable () -> Void) { actions.append(.run(body)) }

  /// Does everything, in the order in which it was decided.
  func perform() {
    for action in actions {
      switch action {
      case .reply(let continuation, let result): continuation.resume(returning: result)
      case .message(let continuation, let result): continuation.resume(returning: result)
      case .write(let continuation, let outcome): continuation.resume(returning: outcome)
      case .cancel(let task): task.cancel()
      case .open(let latch): latch.open()
      case .run(let body): body()
      }
    }
  }
}

/// A caller that waits for its one reply; nil means that nothing was sent.
typealias ReplyContinuation = CheckedContinuation<Result<ArraySlice<UInt8>, RPCError>?, Never>
/// A consumer that waits for the next message of its stream.
typealias MessageContinuation = CheckedContinuation<Result<ArraySlice<UInt8>?, RPCError>, Never>
/// A writer that waits for room.
typealias WriteContinuation = CheckedContinuation<WriteOutcome, Never>

/// How an attempt to write a message ended.
enum WriteOutcome: Sendable {
  /// It is among the bytes to be written.
  case written
  /// The call takes no more messages.
  case refused
  /// The task that writes was cancelled.
  case cancelled
}
