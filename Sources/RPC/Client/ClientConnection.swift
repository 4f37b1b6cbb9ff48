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
    /// Whether there may be no reply at all, or several.
    let repliesStream: Bool
    /// Where the metadata of the reply goes.
    let received: ReplyMetadata?
  }

  struct State: ConnectionState {
    var machine: ClientConnectionMachine<PendingCall>
    var link = TransportLink()
    var timers = CallTimers()
    var negotiation: Negotiation
    var assembler: FragmentAssembler
    var inflow: Inflow
    var pings: PingTimer?
    var frameDue: ContinuousClock.Instant?
    /// Until when the peer may answer the offer of extensions.
    var offerEnds: ContinuousClock.Instant?
    /// Set when no call can be made any more and none runs: why.
    var closed: RPCError?
    /// Whether to close when the last call has ended.
    var closesWhenIdle = false
    /// Whether the peer wants no more calls here.
    var isToldToGo = false
    /// Whether the peer has ever sent a frame.
    var hasReceived = false

    var mayRead: Bool { !timers.isStalled }
    var isClosed: Bool { closed != nil }
    var callCount: Int { machine.callCount }
    func maySend(_ id: StreamID) -> Bool { machine.maySend(id) }
    func takesPart(of frame: Frame) -> Bool { machine.isRunning(frame.streamID) }
  }

  let io: any ConnectionIO
  let clock: any ServiceClock
  let limits: ConnectionLimits
  let state: Mutex<State>
  let decoder: Mutex<FrameDecoder>

  /// Opened when the connection takes no more calls: it is closed, its stream ids are used up, or the peer wants it to go.
  let retired = Latch()
  /// Opened when the connection is closed.
  let ended = Latch()
  /// Opened when it is known what the peer takes.
  let settled = Latch()

  /// Makes the client's end over a transport that is connected.
  public init(io: any ConnectionIO, clock: any ServiceClock, limits: ConnectionLimits = ConnectionLimits()) {
    self.io = io
    self.clock = clock
    self.limits = limits
    decoder = Mutex(FrameDecoder(maximumPayload: limits.maximumFramePayload))
    state = Mutex(
      State(
        machine: ClientConnectionMachine(lastID: limits.lastStreamID, metadataLimit: limits.maximumMetadataBytes),
        negotiation: Negotiation(isServer: false, minimumPingInterval: .zero),
        assembler: FragmentAssembler(maximumMessage: limits.maximumMessageBytes),
        inflow: Inflow(window: limits.connectionWindow)))
    state.withLock { state in
      if limits.offersExtensions {
        // Leaves at once, and nobody waits for the answer.
        state.link.outbound = .cautious
        state.link.outbound.append(.hello) { Hello(limits, isServer: false).append(to: &$0) }
      } else {
        state.negotiation.settleForPlain()
      }
    }
    if limits.offersExtensions { update { _, _ in } } else { settled.open() }
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
    deferred.open(settled)
    deferred.open(ended)
  }

  /// Hands a call its outcome; messages of a stream that have arrived can still be read.
  private static func end(
    _ call: PendingCall, _ outcome: Result<ArraySlice<UInt8>?, RPCError>, _ deferred: inout Deferred
  ) {
    switch call.consumer {
    case .reply(let continuation): deferred.resume(continuation, outcome.map { $0 ?? [] })
    case .stream(let queue):
      // The call has ended here, so that there is nothing left whose reading could be stopped.
      if case .success(let message?) = outcome { _ = queue.push(message, counted: false, &deferred) }
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
    state.assembler.drop(id)
    if !state.link.outbound.drop(id, &deferred) { state.link.outbound.appendCancel(id: id) }
    admit(&state, &deferred)
    switch call.consumer {
    case .reply(let continuation): deferred.resume(continuation, .failure(error))
    case .stream(let queue): queue.fail(error, &deferred)
    }
    closeIfIdle(&state, &deferred)
  }
}

// MARK: - The transport's side

extension ClientConnection {
  func handle(_ event: FrameDecoder.Event, _ state: inout State, _ deferred: inout Deferred) {
    state.hasReceived = true
    // A peer with extensions answers the offer before it says anything else.
    if case .unknown = state.negotiation.peer { settleForPlain(&state, &deferred) }
    switch event {
    case .frame(let frame): handle(state.machine.receive(frame), frame.streamID, &state, &deferred)
    case .oversize(let header):
      let limit = state.negotiation.isExtended ? limits.maximumMessageBytes : limits.maximumFramePayload
      handle(state.machine.receiveOversize(header, limit: limit), header.streamID, &state, &deferred)
    }
  }

  private func handle(
    _ event: ClientConnectionMachine<PendingCall>.Event, _ id: StreamID, _ state: inout State,
    _ deferred: inout Deferred
  ) {
    switch event {
    case .response(let call, let response):
      if let received = call.received {
        if !response.headers.isEmpty { received.headers = response.headers }
        received.trailers = response.trailers
      }
      let outcome: Result<ArraySlice<UInt8>?, RPCError>
      if let error = response.error {
        outcome = .failure(error)
      } else if call.repliesStream && response.payload.isEmpty {
        outcome = .success(nil)
      } else {
        outcome = .success(response.payload)
      }
      ended(call, outcome, id, &state, &deferred)
    case .headers(let call, let metadata): call.received?.headers = metadata
    case .ended(let call, let end):
      call.received?.trailers = end.trailers
      ended(call, end.error.map { .failure($0) } ?? .success(nil), id, &state, &deferred)
    case .message(let call, let message, ended: true): ended(call, .success(message), id, &state, &deferred)
    case .message(let call, let message, ended: false):
      guard case .stream(let queue) = call.consumer else {
        preconditionFailure("a call with one reply got a message of a stream")
      }
      switch queue.push(message, counted: state.negotiation.isExtended, &deferred) {
      case .taken: break
      case .mustStall: state.timers.beginStall(of: id, until: clock.now.advanced(by: limits.stallTimeout))
      case .overrun: abandon(id, Self.overrun, &state, &deferred)
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
    admit(&state, &deferred)
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
      if case .unknown = state.negotiation.peer, let offerEnds = state.offerEnds {
        if offerEnds <= clock.now { settleForPlain(&state, &deferred) } else { state.timers.require(offerEnds) }
      }
      checkFrame(&state, &deferred)
      keepAlive(&state, &deferred)
    }
  }

  static let deadlineExceeded = RPCError(.deadlineExceeded, "no outcome before the deadline")
  private static let stalled = RPCError(
    .resourceExhausted, "the replies of the stream were not read in time; read faster or ask for less")
  private static let overrun = RPCError(.internal, "the server sent more of a stream than it was allowed to")

  /// See `DrivenConnection`.
  public func closed(_ error: RPCError) {
    update { state, deferred in close(error, &state, &deferred) }
  }
}

// MARK: - The connection as a whole

extension ClientConnection {
  func greeted(_ hello: Hello, mustAnswer: Bool, _ state: inout State, _ deferred: inout Deferred) {
    state.hasReceived = true
    state.link.outbound.learn(hello, clock: clock, &deferred)
    deferred.open(settled)
    admit(&state, &deferred)
  }

  private func settleForPlain(_ state: inout State, _ deferred: inout Deferred) {
    state.negotiation.settleForPlain()
    state.link.outbound.learn(nil, clock: clock, &deferred)
    deferred.open(settled)
  }

  /// Waits until it is known what the peer takes, if a message is so large that a plain peer would not take it.
  func settle(forMessageOf count: Int) async {
    guard count > limits.maximumFramePayload else { return }
    update { state, _ in
      if state.offerEnds == nil { offer(&state) }
    }
    await settled.wait()
  }

  /// The offer of extensions leaves: from now on the peer has time to answer.
  func offer(_ state: inout State) {
    let end = clock.now.advanced(by: limits.offerTimeout)
    state.offerEnds = end
    if case .unknown = state.negotiation.peer { state.timers.require(end) }
  }

  func ponged(_ payload: [UInt8], _ state: inout State, _ deferred: inout Deferred) {}

  /// New calls go elsewhere, and so do those that the peer has not looked at.
  func toldToGo(_ goAway: GoAway, _ state: inout State, _ deferred: inout Deferred) {
    state.isToldToGo = true
    deferred.open(retired)
    for (id, call) in state.machine.passOver(above: goAway.lastID) {
      state.timers.endStall(of: id)
      _ = state.link.outbound.drop(id, &deferred)
      switch call.consumer {
      // Nothing of it has taken effect: the channel makes the call again on another connection.
      case .reply(let continuation): deferred.resume(continuation, nil)
      case .stream(let queue):
        let reason = "the server passed the call over, it may be made again: \(goAway.message)"
        queue.fail(RPCError(.unavailable, reason), &deferred)
      }
    }
    closeIfIdle(&state, &deferred)
  }

  func abort(_ error: RPCError, _ state: inout State, _ deferred: inout Deferred) { close(error, &state, &deferred) }

  /// Sends calls that were held back, as many as the peer takes.
  private func admit(_ state: inout State, _ deferred: inout Deferred) {
    let held = state.link.outbound.heldCount
    guard held > 0 else { return }
    let running = state.machine.callCount - held
    state.link.outbound.admit(state.callLimit - running, clock: clock, &deferred)
  }
}

extension ClientConnection.State {
  /// The most calls that the peer takes at a time.
  var callLimit: Int {
    switch negotiation.peer {
    case .unknown: Self.callsBeforeHello
    case .plain: .max
    case .extended(let hello): max(1, hello.maximumCalls)
    }
  }

  /// How many calls are sent before the peer has said how many it takes.
  private static let callsBeforeHello = 64
}
