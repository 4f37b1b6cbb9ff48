extension ServerConnection {
  /// How a handler's part of a call ended.
  enum Outcome: Sendable {
    /// With its one reply.
    case reply([UInt8])
    /// With the end of its reply stream.
    case endOfReplies
    case failure(RPCError)
  }

  /// Starts the handler of a call; throws why it cannot be had.
  func open(
    _ opening: ServerConnectionMachine<RunningCall>.Opening, _ state: inout State, _ deferred: inout Deferred
  ) throws(RPCError) {
    let envelope = opening.envelope
    let handler = try router.handler(of: envelope.name)
    if let refusal = router.access.refusal(of: handler.method, to: io.peer) { throw refusal }
    if let fault = envelope.metadata.fault(limit: limits.maximumMetadataBytes) { throw fault }
    guard envelope.timeoutNanoseconds >= 0 else { throw Self.deadlineExceeded }
    if opening.ended, opening.message == nil, !handler.method.shape.streamsRequests {
      throw RPCError(.invalidArgument, "\(handler.method.path) takes one request, none came")
    }
    // Handlers outlive calls that were given up. They count for themselves: a caller who gives up many calls at once can begin
    // others, and one who begins and gives up calls without end meets a limit.
    let limit = limits.maximumConcurrentCalls
    guard state.callCount < limit, state.handlerCount < 2 * limit else {
      throw RPCError(.resourceExhausted, "the connection has its \(limit) calls running; wait for one to end")
    }
    var context = ServerContext(method: handler.method, metadata: envelope.metadata, peer: io.peer)
    if envelope.timeoutNanoseconds > 0 {
      let deadline = clock.now.advanced(by: .nanoseconds(envelope.timeoutNanoseconds))
      context.deadline = deadline
      state.timers.require(deadline)
    }
    var start = CallStart(side: .server, method: handler.method, metadata: context.metadata, peer: context.peer)
    let observers = try CallObservers.begin(&start, router.interceptors)
    context.metadata = start.metadata
    state.handlerCount += 1
    state.lifetime.becameBusy()
    let isExtended = opening.isExtended && state.negotiation.isExtended
    if isExtended && handler.method.shape.streamsReplies { state.link.outbound.openLane(opening.id) }
    let call = self.start(handler, opening, context, observers, isExtended: isExtended, &deferred)
    state.machine.accept(opening, handler.method.shape, call)
  }

  private func start(
    _ handler: MethodHandler, _ opening: ServerConnectionMachine<RunningCall>.Opening, _ context: ServerContext,
    _ observers: CallObservers?, isExtended: Bool, _ deferred: inout Deferred
  ) -> RunningCall {
    func running(_ task: Task<Void, Never>, _ requests: MessageQueue?) -> RunningCall {
      RunningCall(
        task: task, requests: requests, deadline: context.deadline, isExtended: isExtended,
        repliesStream: handler.method.shape.streamsReplies, reply: context.reply, observers: observers)
    }
    if case .unary(let body) = handler.body, let message = opening.message {
      let task = Task(executorPreference: io.executor) {
        await self.serve(opening.id, context, observers) {
          var message = message
          try observers?.receive(&message)
          return .reply(try await body(message, context))
        }
      }
      return running(task, nil)
    }
    let call = ServerCall(
      id: opening.id, shape: handler.method.shape, connection: self, reply: isExtended ? context.reply : nil,
      observers: observers)
    // Far below what stalls: the queue is empty.
    if let message = opening.message { _ = call.requests.push(message, counted: false, &deferred) }
    if opening.ended { call.requests.finish(.success(()), &deferred) }
    let task = Task(executorPreference: io.executor) {
      await self.serve(opening.id, context, observers) { try await Self.run(handler, call, context) }
      // Whoever still reads after the handler has returned must not wait for ever.
      var deferred = Deferred()
      call.requests.fail(Self.callEnded, &deferred)
      deferred.perform()
    }
    return running(task, call.requests)
  }

  private static func run(_ handler: MethodHandler, _ call: ServerCall, _ context: ServerContext) async throws
    -> Outcome
  {
    switch handler.body {
    case .unary(let body): return .reply(try await body(try await call.onlyRequest(), context))
    case .streams(let body):
      try await body(call, context)
      if handler.method.shape.streamsReplies { return .endOfReplies }
      // Says nothing if the reply was sent.
      return .failure(RPCError(.internal, "\(handler.method.path) returned without a reply"))
    }
  }

  private func serve(
    _ id: StreamID, _ context: ServerContext, _ observers: CallObservers?, _ body: () async throws -> Outcome
  ) async {
    var outcome: Outcome
    do {
      let scope = CallScope(of: context)
      if scope != nil || CallScope.current != nil {
        outcome = try await CallScope.$current.withValue(scope, operation: body)
      } else {
        outcome = try await body()
      }
      if let observers, case .reply(var message) = outcome {
        try observers.send(&message)
        outcome = .reply(message)
      }
    } catch {
      outcome = .failure(router.status(of: error, in: context.method))
    }
    update { state, deferred in
      state.handlerCount -= 1
      finish(id, outcome, &state, &deferred)
      reportIfEnded(state, &deferred)
    }
    // Says nothing if the call had ended before its handler.
    if case .failure(let error) = outcome { observers?.end(error) } else { observers?.end(nil) }
  }

  /// Ends a call before its handler has returned.
  func finish(_ id: StreamID, _ outcome: Outcome) {
    update { state, deferred in finish(id, outcome, &state, &deferred) }
  }

  /// An oversize reply becomes an error: peers close the whole connection on a frame above the limit.
  private func fitted(_ outcome: Outcome, _ state: State) -> Outcome {
    guard case .reply(let message) = outcome else { return outcome }
    let limit = state.largestMessage(limits)
    guard ResponseEnvelope.byteCount(ofReply: message.count) > limit else { return outcome }
    return .failure(
      RPCError(.resourceExhausted, "the reply of \(message.count) bytes is above the limit of \(limit); ask for less"))
  }

  /// Sends the last frame of a call, unless it has ended already.
  private func finish(_ id: StreamID, _ outcome: Outcome, _ state: inout State, _ deferred: inout Deferred) {
    guard let call = state.machine.finish(id) else { return }
    forget(id, &state, &deferred)
    send(fitted(outcome, state), of: call, id, &state, &deferred)
    closeIfDrained(&state)
  }

  /// Sends the last frame of a call.
  func send(
    _ outcome: Outcome, of call: RunningCall, _ id: StreamID, _ state: inout State, _ deferred: inout Deferred
  ) {
    if call.isExtended && call.repliesStream {
      let error: RPCError? = if case .failure(let error) = outcome { error } else { nil }
      if let headers = call.reply.takeUnsentHeaders() {
        state.link.outbound.appendHeaders(wireMetadata(headers), id: id)
      }
      state.link.outbound.appendEnd(StreamEnd(error: error, trailers: wireMetadata(call.reply.trailers)), id: id)
      return
    }
    var response = ResponseEnvelope()
    switch outcome {
    case .endOfReplies: return state.link.outbound.appendEnd(id: id)
    case .reply(let message): response.payload = message[...]
    case .failure(let error): response.error = error
    }
    if call.isExtended {
      if let headers = call.reply.takeUnsentHeaders() { response.headers = wireMetadata(headers) }
      response.trailers = wireMetadata(call.reply.trailers)
    }
    state.link.outbound.appendResponse(response, id: id, clock: clock, &deferred)
  }

  /// What a handler wants to be sent beside its reply, without pairs that cannot travel.
  func wireMetadata(_ metadata: Metadata) -> Metadata {
    if metadata.fault(limit: limits.maximumMetadataBytes) == nil { return metadata }
    return Metadata()
  }

  /// Sends the metadata with which the replies of a stream begin.
  func sendHeaders(_ headers: Metadata, on id: StreamID) {
    update { state, _ in
      if state.maySend(id) { state.link.outbound.appendHeaders(wireMetadata(headers), id: id) }
    }
  }
}

extension ServerCall {
  /// The request of a method that takes one; the connection has seen to it that there is no more.
  func onlyRequest() async throws(RPCError) -> ArraySlice<UInt8> {
    guard let request = try await next() else {
      throw RPCError(.invalidArgument, "the call ended without the one request that its method takes")
    }
    return request
  }
}
