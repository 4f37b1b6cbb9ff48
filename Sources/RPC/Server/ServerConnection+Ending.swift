// How a connection ends on its server's account: told in two steps, so that no call is lost on its way.

extension ServerConnection {
  private static let farewell = [UInt8]("farewell".utf8)

  /// A client with extensions first hears that the connection ends; when it has, or after a while, which call was the last.
  func drain(_ state: inout State, _ deferred: inout Deferred) {
    guard case .serving = state.lifetime.phase else { return }
    guard state.negotiation.isExtended else {
      state.lifetime.phase = .ending
      state.machine.admission = .refused
      return closeIfDrained(&state)
    }
    let until = clock.now.advanced(by: ServerLifetime.announcementTimeout)
    state.lifetime.phase = .announced(until: until)
    state.timers.require(until)
    sayGoAway(.last, &state)
    // The answer comes after all that the client sent before it heard of the end.
    state.link.outbound.append(.ping) { $0 += Self.farewell }
  }

  func ponged(_ payload: [UInt8], _ state: inout State, _ deferred: inout Deferred) {
    if payload == Self.farewell { passOverNewCalls(&state) }
  }

  /// Ends what is due to end.
  func age(_ state: inout State, _ deferred: inout Deferred) {
    let now = clock.now
    if state.lifetime.isOver(at: now) { drain(&state, &deferred) }
    if case .announced(let until) = state.lifetime.phase, until <= now { passOverNewCalls(&state) }
    if let next = state.lifetime.next, next > now { state.timers.require(next) }
  }

  private func passOverNewCalls(_ state: inout State) {
    guard case .announced = state.lifetime.phase else { return }
    state.lifetime.phase = .ending
    state.machine.admission = .passedOver
    sayGoAway(state.machine.highestID, &state)
    closeIfDrained(&state)
  }

  private func sayGoAway(_ last: StreamID, _ state: inout State) {
    state.link.outbound.append(.goAway) {
      GoAway(lastID: last, code: .unavailable, message: "the server ends the connection").append(to: &$0)
    }
  }

  /// Answers what runs, takes nothing more, and closes when that is written.
  func closeAtOnce(_ error: RPCError, _ state: inout State, _ deferred: inout Deferred) {
    if state.negotiation.isExtended, state.machine.admission == .open { sayGoAway(state.machine.highestID, &state) }
    state.lifetime.phase = .ending
    state.machine.admission = state.negotiation.isExtended ? .passedOver : .refused
    for id in state.machine.calls.map(\.id).sorted() { end(id, error, &state, &deferred) }
    closeIfDrained(&state)
  }

  func greeted(_ hello: Hello, mustAnswer: Bool, _ state: inout State, _ deferred: inout Deferred) {
    if mustAnswer {
      state.link.outbound.append(.hello, .acknowledgement) { Hello(limits, isServer: true).append(to: &$0) }
    }
    state.link.outbound.learn(hello, clock: clock, &deferred)
  }

  /// A client may leave when it likes.
  func toldToGo(_ goAway: GoAway, _ state: inout State, _ deferred: inout Deferred) {}

  func abort(_ error: RPCError, _ state: inout State, _ deferred: inout Deferred) {
    closeAtOnce(error, &state, &deferred)
  }
}
