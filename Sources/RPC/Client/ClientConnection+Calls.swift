import Synchronization

/// A call that is to be made.
struct OutgoingCall: Sendable {
  let method: MethodDescriptor
  /// The one request of a call that does not stream them, else empty.
  let request: [UInt8]
  var metadata: Metadata
  var deadline: ContinuousClock.Instant?
  var received: ReplyMetadata?
}

extension ClientConnection {
  /// How an attempt to begin a call ended.
  private enum Beginning: Sendable {
    case begun(StreamID)
    /// The connection takes no calls any more; nothing was sent.
    case unusable
    case failed(RPCError)
  }

  static let callerCancelled = RPCError(.cancelled, "the caller cancelled the call")

  /// Makes a call with one request and one reply. Returns nil when the connection takes no calls any more: nothing was
  /// sent, so that another connection may be tried.
  func unary(_ call: OutgoingCall) async throws(RPCError) -> ArraySlice<UInt8>? {
    let envelope = try envelope(of: call)
    let id = Atomic<UInt32>(StreamID.none.rawValue)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        update { state, deferred in
          switch begin(call, envelope, &state, &deferred, { _ in .reply(continuation) }) {
          case .begun(let begun): id.store(begun.rawValue, ordering: .relaxed)
          case .unusable: deferred.resume(continuation, nil)
          case .failed(let error): deferred.resume(continuation, .failure(error))
          }
        }
      }
    } onCancel: {
      // The id is read under the lock under which it was stored.
      update { state, deferred in
        abandon(StreamID(id.load(ordering: .relaxed)), Self.callerCancelled, &state, &deferred)
      }
    }
    return try result?.get()
  }

  /// Opens a call of any shape as streams of bytes. Returns nil as `unary` does.
  func open(_ call: OutgoingCall) throws(RPCError) -> ClientCall? {
    let envelope = try envelope(of: call)
    let (beginning, replies) = update { state, deferred in
      var replies: MessageQueue?
      // A peer that has not answered the offer, or not in time, counts from the first byte on, if it counts at all.
      let window = limits.offersExtensions ? limits.streamWindow : nil
      let beginning = begin(call, envelope, &state, &deferred) { id in
        let queue = MessageQueue(id: id, owner: self, window: window)
        replies = queue
        return .stream(queue)
      }
      return (beginning, replies)
    }
    switch beginning {
    case .begun(let id): return replies.map { ClientCall(id: id, connection: self, replies: $0) }
    case .unusable: return nil
    case .failed(let error): throw error
    }
  }

  /// What is sent for a call; throws what is wrong with it.
  private func envelope(of call: OutgoingCall) throws(RPCError) -> RequestEnvelope {
    var envelope = RequestEnvelope(name: call.method.name, payload: call.request[...], metadata: call.metadata)
    if let fault = call.metadata.fault(limit: limits.maximumMetadataBytes) { throw fault }
    if let deadline = call.deadline {
      let left = clock.now.duration(to: deadline)
      guard left > .zero else { throw Self.deadlineExceeded }
      envelope.timeoutNanoseconds = left.envelopeNanoseconds
    }
    return envelope
  }

  /// Registers the call and sends its request, as soon as there is room.
  private func begin(
    _ call: OutgoingCall, _ envelope: RequestEnvelope, _ state: inout State, _ deferred: inout Deferred,
    _ consumer: (StreamID) -> PendingCall.Consumer
  ) -> Beginning {
    guard state.closed == nil, !state.isToldToGo, !state.machine.isExhausted else { return .unusable }
    // The cancellation handler runs after the task was marked and takes the lock: it cannot come between.
    if Task.isCancelled { return .failed(Self.callerCancelled) }
    let limit = state.largestMessage(limits)
    let size = envelope.maximumByteCount
    guard size <= limit else {
      return .failed(
        RPCError(
          .resourceExhausted,
          "a request of \(size) bytes with its envelope is above the limit of \(limit); send a smaller one or stream it"
        ))
    }
    let isHeld = state.machine.callCount - state.link.outbound.heldCount >= state.callLimit
    var (id, flags) = state.machine.begin(call.method.shape) { id in
      PendingCall(
        deadline: call.deadline, consumer: consumer(id), repliesStream: call.method.shape.streamsReplies,
        received: call.received)
    }
    if state.machine.isExhausted { deferred.open(retired) }
    if let deadline = call.deadline { state.timers.require(deadline) }
    if limits.offersExtensions {
      flags.insert(.extended)
      if state.offerEnds == nil { offer(&state) }
    }
    state.link.outbound.appendRequest(
      envelope, flags, deadline: call.deadline, id: id, countsData: call.method.shape.streamsRequests, isHeld: isHeld,
      clock: clock, &deferred)
    return .begun(id)
  }

  /// Half-closes a request stream.
  func endRequests(_ id: StreamID) {
    update { state, _ in
      if state.machine.endRequests(id) { state.link.outbound.appendEnd(id: id) }
    }
  }

  /// The caller gives a call up, if it still runs.
  func cancel(_ id: StreamID) {
    update { state, deferred in abandon(id, Self.callerCancelled, &state, &deferred) }
  }
}
