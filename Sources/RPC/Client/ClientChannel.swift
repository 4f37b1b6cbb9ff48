import Synchronization
public import TimeAndChance

/// A channel to the servers of a service: it keeps connections to them, makes those anew that are lost, and calls on one that
/// is there.
///
/// `run` does the connecting and must run, as a child task, as long as the channel is used. While a connection is being
/// made and none is there, a call waits for it; while the channel pauses between attempts to reach any, a call fails with
/// `UNAVAILABLE` unless it asks to wait.
public final class ClientChannel: RPCChannel {
  fileprivate enum Phase {
    case connecting
    /// In the order in which they are used in turn; not empty.
    case ready([ClientConnection])
    case pausing(RPCError)
    case stopped
  }

  fileprivate struct Waiter {
    let waitsForReady: Bool
    let tried: ClientConnection?
    let continuation: CheckedContinuation<Result<ClientConnection, RPCError>, Never>
  }

  fileprivate struct State {
    var phase = Phase.connecting
    /// What those say who keep the connections, in the order of their addresses.
    var keepers: [(keeper: ConnectionKeeper, phase: ConnectionKeeper.Phase)] = []
    /// Counts calls, so that connections take turns.
    var turn = 0
    var isRunning = false
    var waiters: [UInt64: Waiter] = [:]
    var lastTicket: UInt64 = 0
  }

  private let resolver: any AddressResolver
  private let balancing: Balancing
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let backoff: Backoff
  private let state = Mutex(State())
  /// Rings when an address cannot be reached.
  private let hasFailed = Doorbell()

  /// A channel to the addresses that `resolver` knows.
  public init(
    resolver: any AddressResolver, balancing: Balancing = .pickFirst, clock: any ServiceClock = ContinuousClock(),
    random: any RandomSource = SystemRandom(), backoff: Backoff = Backoff()
  ) {
    self.resolver = resolver
    self.balancing = balancing
    self.clock = clock
    self.random = random
    self.backoff = backoff
  }

  /// A channel to addresses that never change.
  public convenience init(
    connectors: [any ClientConnector], balancing: Balancing = .pickFirst, clock: any ServiceClock = ContinuousClock(),
    random: any RandomSource = SystemRandom(), backoff: Backoff = Backoff()
  ) {
    self.init(
      resolver: FixedAddresses(connectors), balancing: balancing, clock: clock, random: random, backoff: backoff)
  }

  /// See `RPCChannel`.
  public func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8> {
    let call = outgoing(method, request, options)
    var tried: ClientConnection?
    while true {
      let connection = try await connection(for: call, waitsForReady: options.waitForReady, unlike: tried)
      await connection.settle(forMessageOf: request.count)
      if let reply = try await connection.unary(call) { return reply }
      tried = connection
    }
  }

  /// See `RPCChannel`.
  public func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall {
    let call = outgoing(method, request, options)
    var tried: ClientConnection?
    while true {
      let connection = try await connection(for: call, waitsForReady: options.waitForReady, unlike: tried)
      await connection.settle(forMessageOf: request.count)
      if let opened = try connection.open(call) { return opened }
      tried = connection
    }
  }

  private func outgoing(_ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions) -> OutgoingCall {
    var call = OutgoingCall(
      method: method, request: request, metadata: options.metadata,
      deadline: options.timeout.map { clock.now.advanced(by: $0) }, received: options.received)
    if let scope = CallScope.current {
      if let limit = scope.deadline { call.deadline = min(call.deadline ?? limit, limit) }
      if let trace = scope.trace, call.metadata[TraceContext.parentName] == nil {
        trace.child(random: random).write(to: &call.metadata)
      }
    }
    return call
  }
}

// MARK: - Connecting

extension ClientChannel {
  /// Keeps the channel connected until the task is cancelled; then closes its connections and fails what waits and runs
  /// with `UNAVAILABLE`. To be called once.
  public func run() async {
    let isFirst = state.withLock { state in
      defer { state.isRunning = true }
      return !state.isRunning
    }
    precondition(isFirst, "a channel is run once")
    switch balancing {
    case .pickFirst:
      let keeper = keeper(of: resolver)
      state.withLock { $0.keepers = [(keeper, .connecting)] }
      await keeper.run()
    case .roundRobin: await keepAll()
    }
    settle { $0.phase = .stopped }
  }

  private func keeper(of resolver: any AddressResolver) -> ConnectionKeeper {
    ConnectionKeeper(resolver: resolver, clock: clock, random: random, backoff: backoff) { [weak self] keeper, phase in
      self?.settle { state in
        guard let index = state.keepers.firstIndex(where: { $0.keeper === keeper }) else { return }
        state.keepers[index].phase = phase
        state.phase = Self.phase(of: state.keepers.map(\.phase))
      }
      if case .pausing = phase { self?.hasFailed.ring() }
    }
  }

  /// Keeps a connection to every address, as often as the addresses are looked up.
  private func keepAll() async {
    await withTaskGroup(of: Void.self) { group in
      var known: [(target: String, keeper: ConnectionKeeper)] = []
      var attempt = 0
      while !Task.isCancelled {
        let pause: Duration?
        do throws(RPCError) {
          let connectors = try await resolver.resolve()
          guard !connectors.isEmpty else { throw RPCError(.unavailable, "the service has no address") }
          var kept: [(target: String, keeper: ConnectionKeeper)] = []
          for connector in connectors where !kept.contains(where: { $0.target == connector.target }) {
            if let old = known.first(where: { $0.target == connector.target }) {
              kept.append(old)
            } else {
              let keeper = keeper(of: FixedAddresses([connector]))
              kept.append((connector.target, keeper))
              group.addTask { await keeper.run() }
            }
          }
          replaceKeepers(kept.map(\.keeper))
          known = kept
          pause = resolver.refreshInterval
          attempt = 0
        } catch {
          // Those that are known go on.
          if known.isEmpty, !Task.isCancelled { settle { $0.phase = .pausing(error) } }
          pause = backoff.delay(attempt: attempt, random: random)
          attempt += 1
        }
        guard let pause else { break }
        await rest(atMost: pause)
      }
      // Those of a list that never changes go on until the task, and with it they, are cancelled.
      await group.waitForAll()
    }
  }

  /// Waits until the addresses are to be looked up again: at the latest after `limit`, and soon when one of them fails.
  private func rest(atMost limit: Duration) async {
    // Cut short only by cancellation, which ends the loop.
    try? await clock.sleep(for: min(limit, Self.leastRest))
    guard limit > Self.leastRest else { return }
    await hasFailed.wait(until: clock.now.advanced(by: limit - Self.leastRest), clock)
  }

  private static let leastRest: Duration = .seconds(1)

  private func replaceKeepers(_ keepers: [ConnectionKeeper]) {
    let gone = settle { state in
      let old = state.keepers
      state.keepers = keepers.map { keeper in
        (keeper, old.first { $0.keeper === keeper }?.phase ?? .connecting)
      }
      state.phase = Self.phase(of: state.keepers.map(\.phase))
      return old.map(\.keeper).filter { keeper in !keepers.contains { $0 === keeper } }
    }
    for keeper in gone { keeper.stop.open() }
  }

  /// What callers see when those who keep the connections are in these phases.
  private static func phase(of phases: [ConnectionKeeper.Phase]) -> Phase {
    var ready: [ClientConnection] = []
    var failures: [String] = []
    for phase in phases {
      switch phase {
      case .connecting: break
      case .ready(let connection): ready.append(connection)
      case .pausing(let error): failures.append(error.message)
      }
    }
    if !ready.isEmpty { return .ready(ready) }
    if failures.count < phases.count { return .connecting }
    return .pausing(RPCError(.unavailable, failures.joined(separator: "; ")))
  }

  /// Changes the state and lets those callers go on whose wait is over.
  @discardableResult private func settle<Result: Sendable>(_ change: (inout State) -> Result) -> Result {
    let (result, settled) = state.withLock { state in
      let result = change(&state)
      var settled: [(waiter: Waiter, outcome: Swift.Result<ClientConnection, RPCError>)] = []
      for ticket in state.waiters.keys.sorted() {
        guard let waiter = state.waiters[ticket],
          let outcome = state.outcome(waitsForReady: waiter.waitsForReady, unlike: waiter.tried)
        else { continue }
        state.waiters[ticket] = nil
        settled.append((waiter, outcome))
      }
      return (result, settled)
    }
    for (waiter, outcome) in settled { waiter.continuation.resume(returning: outcome) }
    return result
  }
}

extension ClientChannel.State {
  /// What a caller gets at this moment, other than a connection that it has tried and that takes no more calls; nil if it has
  /// to wait.
  fileprivate mutating func outcome(
    waitsForReady: Bool, unlike tried: ClientConnection?
  ) -> Result<ClientConnection, RPCError>? {
    switch phase {
    case .ready(let connections):
      turn &+= 1
      let first = Int(UInt(bitPattern: turn) % UInt(connections.count))
      guard tried != nil else { return .success(connections[first]) }
      let next = connections[first...] + connections[..<first]
      return next.first { $0 !== tried && !$0.retired.isOpen }.map { .success($0) }
    case .pausing(let error): return waitsForReady ? nil : .failure(error)
    case .stopped: return .failure(RPCError(.unavailable, "the channel is closed"))
    case .connecting: return nil
    }
  }
}

// MARK: - Waiting for a connection

extension ClientChannel {
  /// The connection to call on, other than `tried`, which takes no more calls.
  private func connection(
    for call: OutgoingCall, waitsForReady: Bool, unlike tried: ClientConnection?
  ) async throws(RPCError) -> ClientConnection {
    if let outcome = state.withLock({ $0.outcome(waitsForReady: waitsForReady, unlike: tried) }) {
      return try outcome.get()
    }
    guard let deadline = call.deadline else { return try await wait(waitsForReady, unlike: tried).get() }
    let result = await withTaskGroup(of: Result<ClientConnection, RPCError>?.self) { group in
      group.addTask { await self.wait(waitsForReady, unlike: tried) }
      group.addTask { [clock] in
        // Cut short only by the cancellation below, when the result no longer counts.
        try? await clock.sleep(until: deadline, tolerance: nil)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
    if let result { return try result.get() }
    throw Task.isCancelled
      ? ClientConnection.callerCancelled : RPCError(.deadlineExceeded, "no connection before the deadline")
  }

  private func wait(_ waitsForReady: Bool, unlike tried: ClientConnection?) async -> Result<ClientConnection, RPCError>
  {
    let slot = Atomic<UInt64>(0)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let outcome = state.withLock { state -> Result<ClientConnection, RPCError>? in
          // The handler below runs after the task was marked and takes this lock: it cannot come between.
          if Task.isCancelled { return .failure(ClientConnection.callerCancelled) }
          if let outcome = state.outcome(waitsForReady: waitsForReady, unlike: tried) { return outcome }
          state.lastTicket += 1
          slot.store(state.lastTicket, ordering: .relaxed)
          state.waiters[state.lastTicket] = Waiter(
            waitsForReady: waitsForReady, tried: tried, continuation: continuation)
          return nil
        }
        if let outcome { continuation.resume(returning: outcome) }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: slot.load(ordering: .relaxed)) }
      waiter?.continuation.resume(returning: .failure(ClientConnection.callerCancelled))
    }
  }
}
