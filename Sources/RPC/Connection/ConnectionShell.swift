import Synchronization
import TimeAndChance

/// What both ends of a connection share: the shell around their machines. It decides with its lock held and acts when the
/// lock is released.
protocol ConnectionShell: DrivenConnection, StallObserver {
  associatedtype State: ConnectionState
  var state: Mutex<State> { get }
  var io: any ConnectionIO { get }
  var clock: any ServiceClock { get }
  var limits: ConnectionLimits { get }
}

protocol ConnectionState {
  var link: TransportLink { get set }
  var timers: CallTimers { get set }
  /// Whether what arrives can be taken.
  var mayRead: Bool { get }
  /// Whether a message may be sent on the call.
  func maySend(_ id: StreamID) -> Bool
}

extension ConnectionState {
  fileprivate var demand: TransportDemand {
    var demand = TransportDemand()
    demand.reads = mayRead
    demand.timer = timers.next
    demand.closes = link.closes
    return demand
  }
}

extension ConnectionShell {
  /// Changes the state; then does what `body` deferred and wakes the transport if there is something for it.
  func update<Result: Sendable>(_ body: (inout State, inout Deferred) -> Result) -> Result {
    var deferred = Deferred()
    let (result, mustWake) = state.withLock { state in
      let result = body(&state, &deferred)
      return (result, state.link.mustWake(for: state.demand))
    }
    if mustWake { io.wake() }
    deferred.perform()
    return result
  }

  /// Sends one message of a stream; waits while too many bytes are to be written. Returns false when the call takes no
  /// more messages. Throws `RESOURCE_EXHAUSTED` for a message above the limit, `CANCELLED` when the task is cancelled
  /// while it waits.
  func send(_ message: [UInt8], on id: StreamID) async throws(RPCError) -> Bool {
    guard message.count <= limits.maximumFramePayload else {
      throw RPCError(
        .resourceExhausted,
        "a message of \(message.count) bytes is above the limit of \(limits.maximumFramePayload); send smaller ones")
    }
    let immediate = update { state, _ -> WriteOutcome? in
      guard state.maySend(id) else { return .refused }
      return state.link.outbound.appendMessage(message, id: id) ? .written : nil
    }
    let outcome = if let immediate { immediate } else { await sendWhenRoom(message, on: id) }
    switch outcome {
    case .written: return true
    case .refused: return false
    case .cancelled: throw RPCError(.cancelled, "the task that writes was cancelled")
    }
  }

  private func sendWhenRoom(_ message: [UInt8], on id: StreamID) async -> WriteOutcome {
    let ticket = Atomic<UInt64>(0)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { writer in
        update { state, deferred in
          if !state.maySend(id) {
            deferred.resume(writer, .refused)
          } else if Task.isCancelled {
            // The handler below runs after the task was marked and takes the lock: it cannot come between.
            deferred.resume(writer, .cancelled)
          } else if state.link.outbound.appendMessage(message, id: id) {
            deferred.resume(writer, .written)
          } else {
            ticket.store(state.link.outbound.wait(message, id: id, writer), ordering: .relaxed)
          }
        }
      }
    } onCancel: {
      update { state, deferred in
        state.link.outbound.cancelWait(ticket: ticket.load(ordering: .relaxed), &deferred)
      }
    }
  }

  func caughtUp(_ id: StreamID) {
    update { state, _ in state.timers.endStall(of: id) }
  }

  /// See `DrivenConnection`.
  public func demand() -> TransportDemand { state.withLock { $0.link.announce($0.demand) } }

  /// See `DrivenConnection`.
  public func takeOutbound(_ buffer: inout [UInt8]) {
    update { state, deferred in state.link.take(&buffer, clock: clock, &deferred) }
  }
}
