import Synchronization
import TimeAndChance

/// What both ends of a connection share: the shell around their machines. It decides with its lock held and acts when the
/// lock is released.
protocol ConnectionShell: DrivenConnection, QueueOwner {
  associatedtype State: ConnectionState
  var state: Mutex<State> { get }
  /// Apart from the state, so that callers and handlers need not wait while a read is cut into frames.
  var decoder: Mutex<FrameDecoder> { get }
  var io: any ConnectionIO { get }
  var clock: any ServiceClock { get }
  var limits: ConnectionLimits { get }

  /// A whole frame of a call, or one above the limit.
  func handle(_ event: FrameDecoder.Event, _ state: inout State, _ deferred: inout Deferred)
  /// The peer has said what it takes.
  func greeted(_ hello: Hello, mustAnswer: Bool, _ state: inout State, _ deferred: inout Deferred)
  /// The answer to a ping came.
  func ponged(_ payload: [UInt8], _ state: inout State, _ deferred: inout Deferred)
  /// The peer takes no more calls.
  func toldToGo(_ goAway: GoAway, _ state: inout State, _ deferred: inout Deferred)
  /// The connection cannot go on: everything on it fails, and it closes when this has been written.
  func abort(_ error: RPCError, _ state: inout State, _ deferred: inout Deferred)
}

protocol ConnectionState {
  var link: TransportLink { get set }
  var timers: CallTimers { get set }
  var negotiation: Negotiation { get set }
  var assembler: FragmentAssembler { get set }
  var inflow: Inflow { get set }
  var pings: PingTimer? { get set }
  /// When the frame must be complete of which a part has come; nil between frames.
  var frameDue: ContinuousClock.Instant? { get set }
  /// Whether what arrives can be taken.
  var mayRead: Bool { get }
  /// Whether nothing that arrives matters any more.
  var isClosed: Bool { get }
  var callCount: Int { get }
  /// Whether a message may be sent on the call.
  func maySend(_ id: StreamID) -> Bool
  /// The first part of a frame came, or a further one; returns whether it belongs to a call, so that it is worth keeping.
  mutating func takesPart(of frame: Frame) -> Bool
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

  func caughtUp(_ id: StreamID) {
    update { state, _ in state.timers.endStall(of: id) }
  }

  func grant(_ credit: Int, to id: StreamID) {
    update { state, _ in
      guard !state.isClosed, state.negotiation.isExtended else { return }
      state.link.outbound.appendWindow(credit, id: id)
    }
  }

  /// See `DrivenConnection`.
  public func demand() -> TransportDemand { state.withLock { $0.link.announce($0.demand) } }

  /// See `DrivenConnection`.
  public func tidy() { state.withLock { $0.link.outbound.tidy() } }

  /// See `DrivenConnection`.
  public func takeOutbound(_ buffer: inout [UInt8]) {
    update { state, deferred in state.link.take(&buffer, clock: clock, &deferred) }
  }
}

// MARK: - Sending

extension ConnectionShell {
  /// Sends one message of a stream; waits while too many bytes are to be written or the peer gives no credit. Returns false
  /// when the call takes no more messages. Throws `RESOURCE_EXHAUSTED` for a message above the limit, `CANCELLED` when the
  /// task is cancelled while it waits.
  func send(_ message: [UInt8], on id: StreamID) async throws(RPCError) -> Bool {
    let immediate = update { state, _ -> Result<WriteOutcome?, RPCError> in
      guard state.maySend(id) else { return .success(.refused) }
      if let fault = state.faultOfMessage(of: message.count, limits) { return .failure(fault) }
      return .success(state.link.outbound.appendMessage(message, id: id) ? .written : nil)
    }
    let outcome = if let immediate = try immediate.get() { immediate } else { await sendWhenRoom(message, on: id) }
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
            let given = state.link.outbound.wait(message, id: id, writer, clock: clock, &deferred)
            ticket.store(given, ordering: .relaxed)
          }
        }
      }
    } onCancel: {
      update { state, deferred in
        state.link.outbound.cancelWait(id, ticket: ticket.load(ordering: .relaxed), &deferred)
      }
    }
  }
}

extension ConnectionState {
  /// The largest message that can be sent: what both ends take, and without fragments one frame.
  func largestMessage(_ limits: ConnectionLimits) -> Int {
    guard let hello = negotiation.hello else { return min(limits.maximumMessageBytes, limits.maximumFramePayload) }
    return min(limits.maximumMessageBytes, hello.maximumMessage)
  }

  func faultOfMessage(of count: Int, _ limits: ConnectionLimits) -> RPCError? {
    let limit = largestMessage(limits)
    guard count > limit else { return nil }
    return RPCError(
      .resourceExhausted, "a message of \(count) bytes is above the limit of \(limit); send smaller ones")
  }
}

// MARK: - Receiving

extension ConnectionShell {
  /// See `DrivenConnection`.
  public func receive(_ bytes: RawSpan) {
    let (events, isPartial) = decoder.withLock { ($0.decode(bytes), !$0.isAtBoundary) }
    update { state, deferred in
      if !isPartial {
        state.frameDue = nil
      } else if !events.isEmpty || state.frameDue == nil {
        awaitFrame(&state)
      }
      if !events.isEmpty { state.pings?.heard(at: clock.now) }
      for event in events where !state.isClosed { receive(event, &state, &deferred) }
    }
  }

  private func receive(_ event: FrameDecoder.Event, _ state: inout State, _ deferred: inout Deferred) {
    guard case .frame(let frame) = event else { return handle(event, &state, &deferred) }
    if frame.type.isAboutConnection { return receiveAboutConnection(frame, &state, &deferred) }
    guard state.negotiation.isExtended else { return handle(event, &state, &deferred) }
    if frame.type == .data { countData(frame, &state) }
    if frame.flags.contains(.more), !state.takesPart(of: frame) {
      // As if it were whole: what is wrong with it does not depend on the rest, which may never come.
      state.assembler.drop(frame.streamID)
      return handle(event, &state, &deferred)
    }
    if let whole = state.assembler.take(frame) { handle(whole, &state, &deferred) }
  }

  private func awaitFrame(_ state: inout State) {
    let due = clock.now.advanced(by: limits.frameTimeout)
    state.frameDue = due
    state.timers.require(due)
  }

  /// Gives a peer up that does not complete its frame, unless it is not read.
  func checkFrame(_ state: inout State, _ deferred: inout Deferred) {
    guard let due = state.frameDue, !state.isClosed else { return }
    if due > clock.now { return state.timers.require(due) }
    if !state.mayRead { return awaitFrame(&state) }
    let error = RPCError(.unavailable, "a frame was not complete \(limits.frameTimeout) after its first byte")
    abort(error, &state, &deferred)
  }

  /// Credit of the connection comes back as soon as data is here: that bounds what is on its way.
  private func countData(_ frame: Frame, _ state: inout State) {
    let cost = frame.payload.count + (frame.flags.contains(.more) ? 0 : Outbound.messageCost)
    _ = state.inflow.receive(cost)
    if let grant = state.inflow.take(cost) { state.link.outbound.appendWindow(grant, id: .connection) }
  }

  private func receiveAboutConnection(_ frame: Frame, _ state: inout State, _ deferred: inout Deferred) {
    guard limits.offersExtensions, frame.streamID.isOdd else { return handle(.frame(frame), &state, &deferred) }
    switch state.negotiation.receive(frame, at: clock.now) {
    case .hello(let hello, let mustAnswer):
      state.pings = limits.keepalive.map {
        PingTimer($0, peerAllows: .milliseconds(hello.minimumPingInterval), now: clock.now)
      }
      if let pings = state.pings { state.timers.require(pings.next) }
      greeted(hello, mustAnswer: mustAnswer, &state, &deferred)
    case .ping(let payload):
      state.link.outbound.append(.ping, .acknowledgement) { $0 += payload }
    case .pong(let payload): ponged(payload, &state, &deferred)
    case .window(let id, let count): state.link.outbound.addCredit(count, to: id, clock: clock, &deferred)
    case .goAway(let goAway): toldToGo(goAway, &state, &deferred)
    case .violation(let error):
      state.link.outbound.append(.goAway) {
        GoAway(lastID: .last, code: error.code, message: error.message).append(to: &$0)
      }
      abort(error, &state, &deferred)
    case .ignored: break
    }
  }

  /// Pings the peer if it is time to, or gives it up.
  func keepAlive(_ state: inout State, _ deferred: inout Deferred) {
    guard var pings = state.pings, !state.isClosed else { return }
    switch pings.check(at: clock.now, hasCalls: state.callCount > 0) {
    case .nothing: break
    case .ping: state.link.outbound.append(.ping) { $0 += [UInt8](repeating: 0, count: 8) }
    case .gone: return abort(RPCError(.unavailable, "the peer does not answer pings"), &state, &deferred)
    }
    state.pings = pings
    state.timers.require(pings.next)
  }
}
