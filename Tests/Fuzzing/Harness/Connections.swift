import RPCTestSupport
import Synchronization
import TimeAndChance

@testable import RPC

/// Limits that a short input can reach.
private var limits: ConnectionLimits {
  var limits = ConnectionLimits()
  limits.maximumFramePayload = 128 * 1024
  limits.maximumMessageBytes = 200 * 1024
  limits.maximumMetadataBytes = 1024
  limits.streamWindow = 4096
  limits.connectionWindow = 16 * 1024
  limits.maximumConcurrentCalls = 8
  limits.stallTimeout = .seconds(5)
  limits.keepalive = Keepalive(interval: .seconds(20), timeout: .seconds(5), withoutCalls: true)
  limits.maximumAge = .seconds(600)
  limits.maximumIdle = .seconds(60)
  return limits
}

/// One end of a connection, whose peer is the input.
private struct Rig<Connection: DrivenConnection> {
  let connection: Connection
  let executor: ManualExecutor
  let clock: ManualClock

  /// Lets the peer do what the input says, until it ends or the connection is to be closed; `check` looks after each step.
  func play(_ input: inout Input, check: () -> Void) {
    while !input.isEmpty {
      switch input.byte() % 8 {
      case 0: connection.receive(input.bytes(Int(input.byte())).span.bytes)
      case 1:
        // Several frames, cut somewhere.
        let bytes = input.frame().wire + input.frame().wire
        let cut = min(Int(input.byte()), bytes.count)
        connection.receive(Array(bytes[..<cut]).span.bytes)
        connection.receive(Array(bytes[cut...]).span.bytes)
      case 2:
        var buffer: [UInt8] = []
        connection.takeOutbound(&buffer)
      case 3:
        clock.advance(by: .milliseconds(Int(input.byte()) * 100))
        if let timer = connection.demand().timer, timer <= clock.now { connection.timerFired() }
      case 4: connection.tidy()
      default: connection.receive(input.frame().wire.span.bytes)
      }
      executor.run()
      check()
      if connection.demand().closes { break }
    }
    connection.closed(RPCError(.unavailable, "the peer is gone"))
    while true {
      executor.run()
      guard clock.advanceToNextSleeper() else { break }
    }
  }
}

/// Whatever a client sends: what a server holds is bounded, and when the client is gone no handler is left.
func fuzzServer(_ bytes: [UInt8]) {
  let (executor, clock) = (ManualExecutor(), ManualClock())
  let slow = MethodDescriptor(service: "s.S", method: "Slow", shape: .unary)
  func method(_ name: String, _ shape: CallShape) -> MethodDescriptor {
    MethodDescriptor(service: "s.S", method: name, shape: shape)
  }
  let echo = TestService([
    .unary(method("U", .unary)) { (request: TestMessage, context) in
      context.reply.headers = context.metadata
      return request
    },
    .clientStreaming(method("C", .clientStreaming)) { (requests: RPCReader<TestMessage>, _) in
      var last = TestMessage()
      for try await request in requests { last = request }
      return last
    },
    .serverStreaming(method("D", .serverStreaming)) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
      for _ in 0..<request.payload.count { try await replies.write(request) }
    },
    .bidirectional(method("B", .bidirectional)) {
      (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
      for try await request in requests { try await replies.write(request) }
    },
    .unary(slow) { (request: TestMessage, _) in
      try await clock.sleep(for: .seconds(30))
      return request
    },
  ])
  let hasEnded = Watched(false)
  let bounds = limits
  let server = ServerConnection(
    io: TestIO(executor: executor), router: TestService.router(echo), clock: clock, limits: bounds,
    random: SeededRandom(seed: 1)
  ) { hasEnded.update { $0 = true } }
  var input = Input(bytes)
  Rig(connection: server, executor: executor, clock: clock).play(&input) {
    server.state.withLock { state in
      require(state.handlerCount <= bounds.maximumConcurrentCalls, "\(state.handlerCount) handlers run")
      require(state.machine.callCount <= state.handlerCount)
      // Two messages of full size, and the fragment with which they are exceeded.
      require(state.assembler.heldByteCount <= 2 * bounds.maximumMessageBytes)
    }
  }
  require(hasEnded.value, "a handler is left: \(server.state.withLock { $0.handlerCount })")
}

/// Whatever a server sends: every call ends, at the latest when the server is gone.
func fuzzClient(_ bytes: [UInt8]) {
  let (executor, clock) = (ManualExecutor(), ManualClock())
  let client = ClientConnection(io: TestIO(executor: executor), clock: clock, limits: limits)
  let running = Watched(0)
  func start(_ body: @escaping @Sendable () async -> Void) {
    running.update { $0 += 1 }
    Task(executorPreference: executor) {
      await body()
      running.update { $0 -= 1 }
    }
  }
  var input = Input(bytes)
  let shapes = input.byte()
  for (index, shape) in [CallShape.unary, .unary, .serverStreaming, .clientStreaming, .bidirectional].enumerated() {
    guard shapes & 1 << UInt8(index) == 0 else { continue }
    let method = MethodDescriptor(service: "s.S", method: "M", shape: shape)
    let call = OutgoingCall(
      method: method, request: shape.streamsRequests ? [] : [1, 2, 3], metadata: [:],
      deadline: clock.now.advanced(by: .seconds(30)), received: ReplyMetadata())
    start {
      if shape == .unary {
        _ = try? await client.unary(call)
      } else if let opened = try? client.open(call) {
        for _ in 0..<3 where shape.streamsRequests { try? await opened.send([UInt8](repeating: 7, count: 3000)) }
        opened.finish()
        while (try? await opened.next()) != nil {}
      }
    }
  }
  executor.run()
  let bound = 2 * limits.maximumMessageBytes
  Rig(connection: client, executor: executor, clock: clock).play(&input) {
    client.state.withLock { require($0.assembler.heldByteCount <= bound) }
  }
  require(running.value == 0, "\(running.value) calls wait for ever")
}
