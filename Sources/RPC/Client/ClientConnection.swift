import Synchronization
public import TimeAndChance

/// The client's end of one connection: begins calls, matches what comes back, keeps deadlines.
///
/// The shell around `ClientConnectionMachine`. Calls may be made from any task; a transport drives the other side.
public final class ClientConnection: ConnectionShell {
  /// A call that runs, and who waits for its outcome.
  struct PendingCall: Sendable {
    enum Consumer: Sendable {
      case reply(ReplyContinuation)
      case stream(MessageQueue)
    }

    let deadline: ContinuousClock.Instant?
    let consumer: Consumer
  }

  struct State: ConnectionState {
    var machine: ClientConnectionMachine<PendingCall>
    var link = TransportLink()
    var timers = CallTimers()
    /// Set when no call can be made any more and none runs: why.
    var closed: RPCError?
    /// Whether to close when the last call has ended.
    var closesWhenIdle = false
    /// Whether the peer has ever sent a frame.
    var hasReceived = false

    var mayRead: Bool { !timers.isStalled }
    func maySend(_ id: StreamID) -> Bool { machine.maySend(id) }
  }

  let io: any ConnectionIO
  let clock: any ServiceClock
  let limits: ConnectionLimits
  let state: Mutex<State>
  /// Apart from the state, so that callers need not wait while a read is cut into frames.
  private let decoder: Mutex<FrameDecoder>

  /// Opened when the connection takes no more calls: it is closed, or its stream ids are used up.
  let retired = Latch()

  /// Makes the client's end over a transport that is connected.
  public init(io: any ConnectionIO, clock: any ServiceClock, limits: ConnectionLimits = ConnectionLimits()) {
    self.io = io
    self.clock = clock
    self.limits = limits
    decoder = Mutex(FrameDecoder(maximumPayload: limits.maximumFramePayload))
    state = Mutex(State(machine: ClientConnectionMachine(lastID: limits.lastStreamID)))
  }

  /// Who is at the other end.
  public var peer: PeerInfo { io.peer }

  /// How many calls are running.
  public var callCount: Int { state.withLock { $0.machine.callCount } }

  /// Whether the peer has ever sent a frame.
  var hasReceived: Bool { state.withLock { $0.hasReceived } }

  /// Whether nothing runs and no call can be made.
  var isClosed: Bool { state.withLock { $0.closed != nil } }

  /// Closes the connection at once; running calls fail with `UNAVAILABLE`.
  public func close() { closed(RPCError(.unavailable, "the connection was closed")) }

  /// Closes the connection once its running calls have ended. New ones may still be made until then.
  func closeWhenIdle() {
    update { state, deferred in
      state.closesWhenIdle = true
      closeIfIdle(&state, &deferred)
    }
  }

  func closeIfIdle(_ state: inout State, _ deferred: inout Deferred) {
    guard state.closesWhenIdle, state.machine.callCount == 0 else { return }
    close(RPCError(.unavailable, "the connection was closed"), &state, &deferred)
  }

  private func close(_ error: RPCError, _ state: inout State, _ deferred: inout Deferred) {
    guard state.closed == nil else { return }
    state.closed = error
    state.link.outbound.close(&deferred)
    state.link.closes = true
    for call in state.machine.close() { Self.end(call, .failure(error), &deferred) }
    deferred.open(retired)
  }

  /// Hands a call its outcome; messages of a stream that have arrived can still be read.
  private static func end(
    _ call: PendingCall, _ outcome: Result<ArraySlice<UInt8>?, RPCError>, _ deferred: inout Deferred
  ) {
    switch call.consumer {
    case .reply(let continuation): deferred.resume(continuation, outcome.map { $0 ?? [] })
    case .stream(let queue):
      // The call has ended here, so that there is nothing left whose reading could be stopped.
      if case .success(let message?) = outcome { _ = queue.push(message, &deferred) }
      queue.finish(outcome.map { _ in }, &deferred)
    }
  }

  /// Ends a call on this side's account and tells the peer to stop it.
  func abandon(_ id: StreamID, _ error: RPCError, _ state: inout State, _ deferred: inout Deferred) {
    guard let call = state.machine.abandon(id) else { return }
    fail(call, id, error, &state, &deferred)
  }

  private func fail(
    _ call: PendingCall, _ id: StreamID, _ error: RPCError, _ state: inout State, _ deferred: inout Deferred
  ) {
    state.timers.endStall(of: id)
    if !state.link.outbound.drop(id, &deferred) { state.link.outbound.appendCancel(id: id) }
    switch call.consumer {
    case .reply(let continuation): deferred.resume(continuation, .failure(error))
    case .stream(let queue): queue.fail(error, &deferred)
    }
    closeIfIdle(&state, &deferred)
  }
}

// MARK: - The transport's side

extension ClientConnection {
  /// See `DrivenConnection`.
  public func receive(_ bytes: RawSpan) {
    let events = decoder.withLock { $0.decode(bytes) }
    guard !events.isEmpty else { return }
    update { state, deferred in
      guard state.closed == nil else { return }
      state.hasReceived = true
      for event in events {
        switch event {
        case .frame(let frame): handle(state.machine.receive(frame), frame.streamID, &state, &deferred)
        case .oversize(let header):
          let event = state.machine.receiveOversize(header, limit: limits.maximumFramePayload)
          handle(event, header.streamID, &state, &deferred)
        }
      }
    }
  }

  private func handle(
    _ event: ClientConnectionMachine<PendingCall>.Event, _ id: StreamID, _ state: inout State,
    _ deferred: inout Deferred
  ) {
    switch event {
    case .reply(let call, let result): ended(call, result.map { $0 }, id, &state, &deferred)
    case .ended(let call, let error):
      ended(call, error.map { .failure($0) } ?? .success(nil), id, &state, &deferred)
    case .message(let call, let message, ended: true): ended(call, .success(message), id, &state, &deferred)
    case .message(let call, let message, ended: false):
      guard case .stream(let queue) = call.consumer else {
        preconditionFailure("a call with one reply got a message of a stream")
      }
      if queue.push(message, &deferred) {
        state.timers.beginStall(of: id, until: clock.now.advanced(by: limits.stallTimeout))
      }
    case .violation(let call, let error): fail(call, id, error, &state, &deferred)
    case .ignored: break
    }
  }

  private func ended(
    _ call: PendingCall, _ outcome: Result<ArraySlice<UInt8>?, RPCError>, _ id: StreamID, _ state: inout State,
    _ deferred: inout Deferred
  ) {
    state.timers.endStall(of: id)
    // Messages that still wait would be ignored by the peer; their writers learn that the call is over.
    _ = state.link.outbound.drop(id, &deferred)
    Self.end(call, outcome, &deferred)
    closeIfIdle(&state, &deferred)
  }

  /// See `DrivenConnection`.
  public func timerFired() {
    update { state, deferred in
      let (expired, stalled) = state.timers.pass(
        at: clock.now, state.machine.calls.lazy.map { (id: $0.id, deadline: $0.call.deadline) })
      for id in expired { abandon(id, Self.deadlineExceeded, &state, &deferred) }
      for id in stalled { abandon(id, Self.stalled, &state, &deferred) }
    }
  }

  static let deadlineExceeded = RPCError(.deadlineExceeded, "no outcome before the deadline")
  private static let stalled = RPCError(
    .resourceExhausted, "the replies of the stream were not read in time; read faster or ask for less")

  /// See `DrivenConnection`.
  public func closed(_ error: RPCError) {
    update { state, deferred in close(error, &state, &deferred) }
  }
}
