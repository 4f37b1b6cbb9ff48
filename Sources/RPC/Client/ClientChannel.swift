import Synchronization
public import TimeAndChance

/// A channel that keeps one connection to the first address that answers, and makes it anew when it is lost.
///
/// `run` does the connecting and must run, as a child task, as long as the channel is used. While a connection is being
/// made, a call waits for it; while the channel pauses between attempts, a call fails with `UNAVAILABLE` unless it asks to
/// wait. Pauses follow `Backoff`, from its start once a connection has proved itself: a frame has arrived on it.
public final class ClientChannel: RPCChannel {
  private enum Phase {
    case connecting
    case ready(ClientConnection)
    case pausing(RPCError)
    case stopped
  }

  private struct Waiter {
    let waitsForReady: Bool
    let continuation: CheckedContinuation<Result<ClientConnection, RPCError>, Never>
  }

  private struct State {
    var phase = Phase.connecting
    var isRunning = false
    var waiters: [UInt64: Waiter] = [:]
    var lastTicket: UInt64 = 0
    /// Connections without stream ids left that still have calls; each has served a billion.
    var retired: [ClientConnection] = []
  }

  private let connectors: [any ClientConnector]
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let backoff: Backoff
  private let state = Mutex(State())

  /// A channel to the first of `connectors` that answers.
  public init(
    connectors: [any ClientConnector], clock: any ServiceClock = ContinuousClock(),
    random: any RandomSource = SystemRandom(), backoff: Backoff = Backoff()
  ) {
    precondition(!connectors.isEmpty, "a channel needs an address")
    self.connectors = connectors
    self.clock = clock
    self.random = random
    self.backoff = backoff
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
    OutgoingCall(
      method: method, request: request, metadata: options.metadata,
      deadline: options.timeout.map { clock.now.advanced(by: $0) }, received: options.received)
  }
}

// MARK: - Connecting

extension ClientChannel {
  /// Keeps the channel connected until the task is cancelled; then closes the connection and fails what waits and runs
  /// with `UNAVAILABLE`. To be called once.
  public func run() async {
    let isFirst = state.withLock { state in
      defer { state.isRunning = true }
      return !state.isRunning
    }
    precondition(isFirst, "a channel is run once")
    var attempt = 0
    while !Task.isCancelled {
      do throws(RPCError) {
        if try await serve() { attempt = 0 }
      } catch {
        if Task.isCancelled { break }
        become(.pausing(error))
        // Cut short only by cancellation, which ends the loop.
        try? await clock.sleep(for: backoff.delay(attempt: attempt, random: random))
        attempt += 1
        become(.connecting)
      }
    }
    become(.stopped)
    let retired = state.withLock { state in
      defer { state.retired = [] }
      return state.retired
    }
    for connection in retired { connection.close() }
  }

  /// Connects and offers the connection until it takes no more calls. Returns whether it has proved itself; throws when
  /// it has not, as when it could not be made: a peer that accepts and hangs up must not be called in a tight loop.
  private func serve() async throws(RPCError) -> Bool {
    let connection = try await connect()
    become(.ready(connection))
    await connection.retired.wait()
    if Task.isCancelled {
      connection.close()
      return true
    }
    let isExhausted = !connection.isClosed
    become(.connecting)
    connection.closeWhenIdle()
    state.withLock { state in
      state.retired.removeAll { $0.isClosed }
      if !connection.isClosed { state.retired.append(connection) }
    }
    guard isExhausted || connection.hasReceived else {
      throw RPCError(.unavailable, "\(connection.peer.address) closed the connection before it answered anything")
    }
    return true
  }

  private func connect() async throws(RPCError) -> ClientConnection {
    var failures: [String] = []
    for connector in connectors where !Task.isCancelled {
      do throws(RPCError) {
        return try await connector.connect()
      } catch {
        failures.append(error.message)
      }
    }
    throw RPCError(.unavailable, failures.joined(separator: "; "))
  }

  /// Enters a phase and settles the callers that wait for it.
  private func become(_ phase: Phase) {
    let (settled, outcome) = state.withLock { state -> ([Waiter], Result<ClientConnection, RPCError>) in
      state.phase = phase
      let outcome: Result<ClientConnection, RPCError>
      var keepsPatient = false
      switch phase {
      case .connecting: return ([], .failure(Self.stopped))
      case .ready(let connection): outcome = .success(connection)
      case .pausing(let error):
        outcome = .failure(error)
        keepsPatient = true
      case .stopped: outcome = .failure(Self.stopped)
      }
      let leaving = state.waiters.filter { !(keepsPatient && $0.value.waitsForReady) }.sorted { $0.key < $1.key }
      for (ticket, _) in leaving { state.waiters[ticket] = nil }
      return (leaving.map(\.value), outcome)
    }
    for waiter in settled { waiter.continuation.resume(returning: outcome) }
  }

  private static let stopped = RPCError(.unavailable, "the channel is closed")
}

// MARK: - Waiting for a connection

extension ClientChannel {
  /// The connection to call on, other than `tried`, which takes no more calls.
  private func connection(
    for call: OutgoingCall, waitsForReady: Bool, unlike tried: ClientConnection?
  ) async throws(RPCError) -> ClientConnection {
    if case .ready(let ready) = state.withLock({ $0.phase }), ready !== tried { return ready }
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
          switch state.phase {
          case .ready(let connection) where connection !== tried: return .success(connection)
          case .pausing(let error) where !waitsForReady: return .failure(error)
          case .stopped: return .failure(Self.stopped)
          case .ready, .pausing, .connecting: break
          }
          state.lastTicket += 1
          slot.store(state.lastTicket, ordering: .relaxed)
          state.waiters[state.lastTicket] = Waiter(waitsForReady: waitsForReady, continuation: continuation)
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
