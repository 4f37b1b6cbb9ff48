import Synchronization
public import TimeAndChance

/// The server's end of one connection: runs handlers, sends what they reply, cancels them when their caller is gone.
///
/// The shell around `ServerConnectionMachine`. Handlers run as tasks on the transport's executor.
public final class ServerConnection: ConnectionShell {
  /// What runs for a call.
  struct RunningCall: Sendable {
    let task: Task<Void, Never>
    /// Where its requests go; nil for a call that had its one request at the start.
    let requests: MessageQueue?
    let deadline: ContinuousClock.Instant?
    let isExtended: Bool
    let repliesStream: Bool
    let reply: ReplyMetadata
    let observers: CallObservers?
  }

  struct State: ConnectionState {
    var machine: ServerConnectionMachine<RunningCall>
    var link = TransportLink()
    var timers = CallTimers()
    var negotiation: Negotiation
    var assembler: FragmentAssembler
    var inflow: Inflow
    var pings: PingTimer?
    var frameDue: ContinuousClock.Instant?
    var lifetime: ServerLifetime
    /// The handlers that have not returned, those included whose caller is gone.
    var handlerCount = 0
    /// Whether the transport is gone.
    var isClosed = false

    /// A peer that never reads its replies must not fill memory: its requests are not read either.
    var mayRead: Bool { !timers.isStalled && !link.outbound.tooManyResponses }
    var callCount: Int { machine.callCount }
    func maySend(_ id: StreamID) -> Bool { machine.isRunning(id) }
    mutating func takesPart(of frame: Frame) -> Bool {
      frame.type == .request ? machine.announce(frame.streamID) : machine.isRunning(frame.streamID)
    }
  }

  let io: any ConnectionIO
  let clock: any ServiceClock
  let limits: ConnectionLimits
  let state: Mutex<State>
  let router: RPCRouter
  let decoder: Mutex<FrameDecoder>
  private let onEnded: @Sendable () -> Void

  /// Makes the server's end over a transport that is connected. `onEnded` is called once, when the connection is gone and
  /// its last handler has returned.
  public init(
    io: any ConnectionIO, router: RPCRouter, clock: any ServiceClock, limits: ConnectionLimits = ConnectionLimits(),
    random: any RandomSource = SystemRandom(), onEnded: @escaping @Sendable () -> Void = {}
  ) {
    self.io = io
    self.router = router
    self.clock = clock
    self.limits = limits
    self.onEnded = onEnded
    decoder = Mutex(FrameDecoder(maximumPayload: limits.maximumFramePayload))
    let lifetime = ServerLifetime(limits, now: clock.now, random: random)
    state = Mutex(
      State(
        machine: ServerConnectionMachine(metadataLimit: limits.maximumMetadataBytes),
        negotiation: Negotiation(isServer: true, minimumPingInterval: limits.minimumPingInterval),
        assembler: FragmentAssembler(maximumMessage: limits.maximumMessageBytes),
        inflow: Inflow(window: limits.connectionWindow), lifetime: lifetime))
    if let next = lifetime.next { update { state, _ in state.timers.require(next) } }
  }

  /// Stops taking calls and closes once the running ones have ended. A client with extensions is told first, and its calls
  /// that are on their way are still served; others are answered `UNAVAILABLE`.
  public func drain() {
    update { state, deferred in drain(&state, &deferred) }
  }

  /// Answers the running calls with `UNAVAILABLE`, cancels their handlers and closes.
  public func close() {
    update { state, deferred in
      closeAtOnce(RPCError(.unavailable, "the server stopped before the call ended"), &state, &deferred)
    }
  }

  func closeIfDrained(_ state: inout State) {
    if state.machine.admission != .open, state.machine.callCount == 0 { state.link.closes = true }
  }

  func reportIfEnded(_ state: State, _ deferred: inout Deferred) {
    if state.isClosed, state.handlerCount == 0 { deferred.run(onEnded) }
  }

  /// Ends a call on the connection's own account: answers it and cancels its handler.
  func end(_ id: StreamID, _ error: RPCError, _ state: inout State, _ deferred: inout Deferred) {
    guard let call = state.machine.finish(id) else { return }
    stop(call, id, error, &state, &deferred)
    send(.failure(error), of: call, id, &state, &deferred)
    closeIfDrained(&state)
  }

  /// Lets a call's handler know that it is over.
  private func stop(
    _ call: RunningCall, _ id: StreamID, _ error: RPCError, _ state: inout State, _ deferred: inout Deferred
  ) {
    forget(id, &state, &deferred)
    call.requests?.fail(error, &deferred)
    deferred.cancel(call.task)
    if let observers = call.observers { deferred.run { observers.end(error) } }
  }

  /// Drops what is kept for a call beside the machine.
  func forget(_ id: StreamID, _ state: inout State, _ deferred: inout Deferred) {
    state.timers.endStall(of: id)
    state.assembler.drop(id)
    if state.machine.callCount == 0, let next = state.lifetime.becameIdle(at: clock.now) { state.timers.require(next) }
    _ = state.link.outbound.drop(id, &deferred)
  }
}

// MARK: - The transport's side

extension ServerConnection {
  func handle(_ event: FrameDecoder.Event, _ state: inout State, _ deferred: inout Deferred) {
    switch event {
    case .frame(let frame): handle(state.machine.receive(frame), frame.streamID, &state, &deferred)
    case .oversize(let header):
      let limit = state.negotiation.isExtended ? limits.maximumMessageBytes : limits.maximumFramePayload
      handle(state.machine.receiveOversize(header, limit: limit), header.streamID, &state, &deferred)
    }
  }

  private func handle(
    _ event: ServerConnectionMachine<RunningCall>.Event, _ id: StreamID, _ state: inout State,
    _ deferred: inout Deferred
  ) {
    switch event {
    case .open(let opening):
      do throws(RPCError) {
        try open(opening, &state, &deferred)
      } catch {
        state.link.outbound.appendResponse(ResponseEnvelope(error: error), id: id, clock: clock, &deferred)
      }
    case .message(let call, let message, let ended):
      guard let requests = call.requests else { return }
      if let message {
        switch requests.push(message, counted: call.isExtended, &deferred) {
        case .taken: break
        case .mustStall: state.timers.beginStall(of: id, until: clock.now.advanced(by: limits.stallTimeout))
        case .overrun: return end(id, Self.overrun, &state, &deferred)
        }
      }
      if ended { requests.finish(.success(()), &deferred) }
    case .cancelled(let call):
      stop(call, id, RPCError(.cancelled, "the caller cancelled the call"), &state, &deferred)
      closeIfDrained(&state)
    case .reject(let error, let call):
      if let call { stop(call, id, error, &state, &deferred) }
      state.link.outbound.appendResponse(ResponseEnvelope(error: error), id: id, clock: clock, &deferred)
      closeIfDrained(&state)
    case .ignored: break
    }
  }

  /// See `DrivenConnection`.
  public func timerFired() {
    update { state, deferred in
      let (expired, stalled) = state.timers.pass(
        at: clock.now, state.machine.calls.lazy.map { (id: $0.id, deadline: $0.call.deadline) })
      for id in expired { end(id, Self.deadlineExceeded, &state, &deferred) }
      for id in stalled { end(id, Self.stalled, &state, &deferred) }
      checkFrame(&state, &deferred)
      keepAlive(&state, &deferred)
      age(&state, &deferred)
    }
  }

  static let callEnded = RPCError(.cancelled, "the call has ended")
  static let deadlineExceeded = RPCError(.deadlineExceeded, "the call's deadline passed")
  private static let stalled = RPCError(
    .resourceExhausted, "the server could not take the messages of the stream in time; retry later or send slower")

  private static let overrun = RPCError(.resourceExhausted, "the client sent more of a stream than it was allowed to")

  /// See `DrivenConnection`.
  public func closed(_ error: RPCError) {
    update { state, deferred in
      guard !state.isClosed else { return }
      state.isClosed = true
      state.link.outbound.close(&deferred)
      let ids = state.machine.calls.map(\.id).sorted()
      for (id, call) in zip(ids, state.machine.close()) { stop(call, id, error, &state, &deferred) }
      reportIfEnded(state, &deferred)
    }
  }
}
