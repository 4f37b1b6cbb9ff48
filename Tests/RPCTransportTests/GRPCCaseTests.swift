import RPC
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

/// gRPC's interoperability cases, by their names and with their sizes
/// (https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md), on every carrier.
@Suite(.timeLimit(.minutes(3))) struct GRPCCaseTests {
  private typealias Cases = GRPCCaseService

  /// Runs `body` with a channel to a server of the cases.
  private func run(
    _ carrier: Carrier, _ limits: ConnectionLimits = ConnectionLimits(),
    _ body: @escaping @Sendable (World) async throws -> Void
  ) async throws {
    try await carrier.run(limits) { world in
      try await world.serve([Cases.service])
      try await body(world)
      #expect(world.unexpected.value == [])
    }
  }

  private static func unary(
    _ world: World, _ method: MethodDescriptor, _ request: TestMessage, _ options: CallOptions = World.patient
  ) async throws -> TestMessage { try await world.channel.unary(method, request, options: options) }

  private static func failure(_ body: () async throws -> Void) async -> RPCError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? RPCError
    }
  }

  @Test(arguments: Carrier.allCases) func empty_unary(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let reply = try await Self.unary(world, Cases.emptyCall, TestMessage())
      #expect(reply == TestMessage())
    }
  }

  @Test(arguments: Carrier.allCases) func large_unary(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let reply = try await Self.unary(world, Cases.unaryCall, Cases.request(271_828, replies: [314_159]))
      #expect(reply == Cases.reply(314_159))
    }
  }

  @Test(arguments: Carrier.allCases) func client_streaming(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let reply: TestMessage = try await world.channel.clientStreaming(
        Cases.streamingInputCall, options: World.patient
      ) { requests in
        for size in [27_182, 8, 1_828, 45_904] { try await requests.write(Cases.request(size)) }
      }
      #expect(reply == "74922")
    }
  }

  @Test(arguments: Carrier.allCases) func server_streaming(_ carrier: Carrier) async throws {
    let sizes = [31_415, 9, 2_653, 58_979]
    try await run(carrier) { world in
      let replies = try await world.channel.serverStreaming(
        Cases.streamingOutputCall, Cases.request(replies: sizes), options: World.patient
      ) { (replies: RPCReader<TestMessage>) in
        var all: [Int] = []
        for try await reply in replies { all.append(reply.payload.count) }
        return all
      }
      #expect(replies == sizes)
    }
  }

  @Test(arguments: Carrier.allCases) func ping_pong(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      try await world.channel.bidirectional(Cases.fullDuplexCall, options: World.patient) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        for (size, wanted) in [(27_182, 31_415), (8, 9), (1_828, 2_653), (45_904, 58_979)] {
          try await requests.write(Cases.request(size, replies: [wanted]))
          let reply = try await replies.next()
          #expect(reply == Cases.reply(wanted))
        }
        requests.finish()
        let end = try await replies.next()
        #expect(end == nil)
      }
    }
  }

  @Test(arguments: Carrier.allCases) func empty_stream(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      try await world.channel.bidirectional(Cases.fullDuplexCall, options: World.patient) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        requests.finish()
        let end = try await replies.next()
        #expect(end == nil)
      }
    }
  }

  @Test(arguments: Carrier.allCases) func custom_metadata(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      func options() -> (CallOptions, ReplyMetadata) {
        let received = ReplyMetadata()
        var options = CallOptions(
          metadata: ["x-grpc-test-echo-initial": "test_initial_metadata_value"], waitForReady: true, received: received)
        options.metadata.add(bytes: [0xAB, 0xAB, 0xAB], for: "x-grpc-test-echo-trailing-bin")
        return (options, received)
      }
      func check(_ received: ReplyMetadata) {
        #expect(received.headers["x-grpc-test-echo-initial"] == "test_initial_metadata_value")
        #expect(received.trailers.bytes(for: "x-grpc-test-echo-trailing-bin") == [0xAB, 0xAB, 0xAB])
      }
      let (unary, ofUnary) = options()
      _ = try await Self.unary(world, Cases.unaryCall, Cases.request(271_828, replies: [314_159]), unary)
      check(ofUnary)
      let (duplex, ofDuplex) = options()
      try await world.channel.bidirectional(Cases.fullDuplexCall, options: duplex) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        try await requests.write(Cases.request(271_828, replies: [314_159]))
        requests.finish()
        while try await replies.next() != nil {}
      }
      check(ofDuplex)
    }
  }

  /// The status that is asked for, from a call with one reply and from one with streams.
  private func statuses(_ world: World, _ code: StatusCode, _ message: String) async -> [RPCError?] {
    let options = CallOptions(
      metadata: ["x-status-code": "\(code.rawValue)", "x-status-message": message], waitForReady: true)
    return [
      await Self.failure { _ = try await Self.unary(world, Cases.unaryCall, Cases.request(), options) },
      await Self.failure {
        try await world.channel.bidirectional(Cases.fullDuplexCall, options: options) {
          (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
          requests.finish()
          while try await replies.next() != nil {}
        }
      },
    ]
  }

  @Test(arguments: Carrier.allCases) func status_code_and_message(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      for code in (1...16).map({ StatusCode(rawValue: $0) }) {
        let expected = RPCError(code, "test status message")
        #expect(await statuses(world, code, "test status message") == [expected, expected])
      }
    }
  }

  @Test(arguments: Carrier.allCases) func special_status_message(_ carrier: Carrier) async throws {
    let message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    try await run(carrier) { world in
      let expected = RPCError(.unknown, message)
      #expect(await statuses(world, .unknown, message) == [expected, expected])
    }
  }

  @Test(arguments: Carrier.allCases) func unimplemented_method(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let error = await Self.failure { _ = try await Self.unary(world, Cases.unimplementedCall, TestMessage()) }
      #expect(error?.code == .unimplemented)
    }
  }

  @Test(arguments: Carrier.allCases) func unimplemented_service(_ carrier: Carrier) async throws {
    let method = MethodDescriptor(
      service: "grpc.testing.UnimplementedService", method: "UnimplementedCall", shape: .unary)
    try await run(carrier) { world in
      let error = await Self.failure { _ = try await Self.unary(world, method, TestMessage()) }
      #expect(error?.code == .unimplemented)
    }
  }

  @Test(arguments: Carrier.allCases) func cancel_after_begin(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let call = try await world.channel.open(Cases.streamingInputCall, request: [], options: World.patient)
      call.cancel()
      let error = await Self.failure { _ = try await call.next() }
      #expect(error?.code == .cancelled)
    }
  }

  @Test(arguments: Carrier.allCases) func cancel_after_first_response(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let call = try await world.channel.open(Cases.fullDuplexCall, request: [], options: World.patient)
      try await call.send(Cases.request(27_182, replies: [31_415]).payload)
      #expect(try await call.next()?.count == 31_415)
      call.cancel()
      let error = await Self.failure { _ = try await call.next() }
      #expect(error?.code == .cancelled)
    }
  }

  @Test(arguments: Carrier.allCases) func timeout_on_sleeping_server(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      // Connected first, so that the time is the server's.
      _ = try await Self.unary(world, Cases.emptyCall, TestMessage())
      let error = await Self.failure {
        try await world.channel.bidirectional(Cases.fullDuplexCall, options: CallOptions(timeout: .milliseconds(1))) {
          (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
          try? await requests.write(Cases.request(27_182))
          while try await replies.next() != nil {}
        }
      }
      #expect(error?.code == .deadlineExceeded)
    }
  }

  @Test(arguments: Carrier.allCases) func concurrent_large_unary(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      let intact = try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<1000 {
          group.addTask {
            try await Self.unary(world, Cases.unaryCall, Cases.request(271_828, replies: [314_159])).payload.count
              == 314_159
          }
        }
        return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
      }
      #expect(intact == 1000)
    }
  }

  /// Many calls on one channel, one after another.
  @Test(arguments: Carrier.allCases) func rpc_soak(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      for _ in 0..<300 {
        let reply = try await Self.unary(world, Cases.unaryCall, Cases.request(271_828, replies: [314_159]))
        #expect(reply.payload.count == 314_159)
      }
    }
  }

  /// A channel for each call; nothing of one is left for the next.
  @Test(arguments: Carrier.allCases) func channel_soak(_ carrier: Carrier) async throws {
    try await run(carrier) { world in
      for _ in 0..<100 {
        let channel = ClientChannel(connectors: [world.host.connector()], clock: world.clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { await channel.run() }
          defer { group.cancelAll() }
          let reply: TestMessage = try await channel.unary(
            Cases.unaryCall, Cases.request(271_828, replies: [314_159]), options: World.patient)
          #expect(reply.payload.count == 314_159)
        }
      }
    }
  }

  /// Thousands of calls run out of time at the same moment, more than a connection runs at a time; then it serves on.
  @Test(arguments: Carrier.allCases) func simultaneous_timeouts(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([
        TestService([
          .unary(TestService.unary) { (request: TestMessage, context) in
            if request.text == "sleep" { try await world.clock.sleep(for: .seconds(60)) }
            return request
          }
        ])
      ])
      _ = try await world.unary("ready")
      let codes = await withTaskGroup(of: StatusCode?.self) { group in
        for _ in 0..<5000 {
          group.addTask {
            await Self.failure { _ = try await world.unary("sleep", World.timeout(.milliseconds(300))) }?.code
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(codes == Array(repeating: .deadlineExceeded, count: 5000))
      let reply = try await world.unary("well?")
      #expect(reply == "well?")
    }
  }
}
