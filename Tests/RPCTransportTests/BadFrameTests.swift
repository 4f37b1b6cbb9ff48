import RPCTransport
import Testing
import TimeAndChance

@testable import RPC
@testable import RPCTestSupport

/// A server gets everything that a broken or hostile peer may send, over a raw socket: it answers as documented, keeps the
/// connection where it can, goes on serving others, and forgets the connection when it ends.
@Suite(.timeLimit(.minutes(1))) struct BadFrameTests {
  private static let limit = ConnectionLimits().maximumFramePayload

  /// Runs `body` against a server of the echo service; afterwards another client is served, and the server ends, which it
  /// only does when every connection is gone and every handler has returned.
  private func withServer(
    _ services: [any RPCService] = [TestService.echo], _ body: (Endpoint) async throws -> Void
  ) async throws {
    let loops = EventLoops(threads: 1)
    let server = TCPServer(router: RPCRouter(services: services) { _, _ in }, loops: loops)
    let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    try await body(endpoint)
    let other = try RawSocket(endpoint)
    try other.send(.request(TestService.unary, on: 1))
    #expect(try other.response(on: 1) == .ok)
    other.endSending()
    #expect(try other.receive() == nil)
    await server.shutdown()
    #expect(server.connectionCount == 0)
    await loops.shutdown()
  }

  /// Sends frames on one connection; the codes of the responses, by stream in the order of their arrival. The connection
  /// must still serve afterwards.
  private func codes(_ frames: [Frame], answers: Int, lastID: UInt32 = 0x7FFF_FFFF) async throws -> [[Int]] {
    var codes: [[Int]] = []
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(frames.flatMap(\.bytes))
      for _ in 0..<answers {
        let frame = try #require(try socket.receive())
        #expect(frame.type == .response)
        let code = try ResponseEnvelope(parsing: frame.payload[...], metadataLimit: 16_384).error?.code ?? .ok
        codes.append([Int(frame.streamID.rawValue), Int(code.rawValue)])
      }
      try socket.send(.request(TestService.unary, on: lastID))
      #expect(try socket.response(on: lastID) == .ok, "nothing else was answered, and the connection serves on")
    }
    return codes
  }

  private func raw(_ length: UInt32, _ id: UInt32, _ type: FrameType, flags: FrameFlags = []) -> [UInt8] {
    var bytes: [UInt8] = []
    FrameHeader(length: length, streamID: StreamID(id), type: type, flags: flags).append(to: &bytes)
    return bytes
  }

  // MARK: Lengths

  @Test func lengthZero() async throws {
    let frames = [
      Frame(streamID: StreamID(1), type: .request), Frame(streamID: StreamID(3), type: .data),
      Frame(streamID: StreamID(5), type: .cancel), Frame(streamID: StreamID(7), type: .response),
    ]
    // An empty envelope names no service; the data belongs to no stream; the others are ignored.
    #expect(try await codes(frames, answers: 2) == [[1, 12], [3, 3]])
  }

  @Test func maximumLength() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      var request = Frame.request(TestService.unary, on: 1, [UInt8](repeating: 1, count: Self.limit - 100))
      // Metadata fields of unknown numbers fill the frame to the last byte.
      let rest = Self.limit - request.payload.count
      request.payload += [0x32, UInt8(rest - 2)] + [UInt8](repeating: 0, count: rest - 2)
      #expect(request.payload.count == Self.limit)
      try socket.send(request)
      let reply = try #require(try socket.receive())
      #expect(
        try ResponseEnvelope(parsing: reply.payload[...], metadataLimit: 16_384).payload.count == Self.limit - 100)
      request.streamID = StreamID(3)
      request.payload.append(0)
      try socket.send(request)
      #expect(try socket.response(on: 3) == .resourceExhausted)
      try socket.send(.request(TestService.unary, on: 5))
      #expect(try socket.response(on: 5) == .ok)
    }
  }

  /// The answer comes at once, not after four gigabytes.
  @Test func theLargestLength() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(raw(.max, 1, .request))
      #expect(try socket.response(on: 1) == .resourceExhausted)
      for _ in 0..<20 { try socket.send([UInt8](repeating: 0xFF, count: 1 << 20)) }
    }
  }

  @Test func oversizeDataEndsItsCall() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(.request(TestService.bidirectional, on: 1, [], flags: [.remoteOpen, .noData]))
      try socket.send(Frame(streamID: StreamID(1), type: .data, payload: [7]))
      #expect(try socket.receive()?.payload == [7])
      try socket.send(raw(UInt32(Self.limit) + 1, 1, .data) + [UInt8](repeating: 0, count: Self.limit + 1))
      #expect(try socket.response(on: 1) == .resourceExhausted)
      try socket.send(.request(TestService.unary, on: 3))
      #expect(try socket.response(on: 3) == .ok)
    }
  }

  // MARK: Cuts

  @Test(arguments: [0, 1, 9, 10, 11, 30]) func truncated(count: Int) async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(Array(Frame.request(TestService.unary, on: 1).bytes.prefix(count)))
      socket.endSending()
      #expect(try socket.receive() == nil)
    }
  }

  @Test func aByteAtATime() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      for byte in Frame.request(TestService.unary, on: 1, Array("slow".utf8)).bytes { try socket.send([byte]) }
      #expect(try socket.receive()?.payload == [0x12, 4] + Array("slow".utf8))
    }
  }

  @Test func concatenated() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      let ids = (0..<500).map { UInt32(2 * $0 + 1) }
      try socket.send(ids.flatMap { Frame.request(TestService.unary, on: $0).bytes })
      var answered: [UInt32] = []
      for _ in ids { answered.append(try #require(try socket.receive()).streamID.rawValue) }
      #expect(answered.sorted() == ids)
    }
  }

  // MARK: Types, flags, methods, ids

  @Test func unknownTypesAreIgnored() async throws {
    let types = (0...255).map { FrameType(rawValue: $0) }.filter { ![.request, .data].contains($0) }
    let frames = types.map { Frame(streamID: StreamID(1), type: $0, payload: [1, 2, 3]) }
    #expect(try await codes(frames, answers: 0) == [])
  }

  @Test func unknownFlagsAreIgnored() async throws {
    let frames = [Frame.request(TestService.unary, on: 1, flags: FrameFlags(rawValue: 0xF8 & ~4))]
    #expect(try await codes(frames, answers: 1) == [[1, 0]])
  }

  @Test func unknownMethods() async throws {
    let frames = [
      Frame.request(MethodDescriptor(service: "x", method: "Unary", shape: .unary), on: 1),
      Frame.request(TestService.method("x", .unary), on: 3),
    ]
    #expect(try await codes(frames, answers: 2) == [[1, 12], [3, 12]])
  }

  /// The name is quoted in the answer, which must stay readable and below the limit.
  @Test func anEndlessMethodName() async throws {
    let name = String(repeating: "x", count: 1 << 20)
    let frames = [Frame.request(MethodDescriptor(service: name, method: name, shape: .unary), on: 1)]
    #expect(try await codes(frames, answers: 1) == [[1, 12]])
  }

  @Test func idsThatAreNotOdd() async throws {
    let frames = [0, 2, 0xFFFF_FFFE].flatMap { id in
      [Frame.request(TestService.unary, on: id), Frame(streamID: StreamID(id), type: FrameType(rawValue: 0x40))]
    }
    #expect(
      try await codes(frames, answers: 6)
        == [[0, 3], [0, 3], [2, 3], [2, 3], [0xFFFF_FFFE, 3], [0xFFFF_FFFE, 3]])
  }

  @Test func idsThatDoNotRise() async throws {
    let frames = [9, 7, 11].map { Frame.request(TestService.method("x", .unary), on: $0) }
    #expect(try await codes(frames, answers: 3) == [[9, 12], [7, 3], [11, 12]])
  }

  /// Opening a stream again while it is open ends it: the peer could not tell the answers apart.
  @Test func anIDThatIsInUse() async throws {
    let frames = [
      Frame.request(TestService.bidirectional, on: 1, [], flags: [.remoteOpen, .noData]),
      Frame.request(TestService.unary, on: 1), Frame(streamID: StreamID(1), type: .data, payload: [1]),
    ]
    #expect(try await codes(frames, answers: 1) == [[1, 3]])
  }

  @Test func dataWithoutAStream() async throws {
    let data = Frame(streamID: StreamID(5), type: .data, payload: [1])
    #expect(try await codes([data], answers: 1) == [[5, 3]])
    // After the end of the call it may just have crossed the answer.
    let missing = Frame.request(TestService.method("x", .bidirectional), on: 5, [], flags: [.remoteOpen, .noData])
    #expect(try await codes([missing, data, data], answers: 1) == [[5, 12]])
  }

  @Test func dataAfterTheEnd() async throws {
    let service = TestService([
      .bidirectional(TestService.bidirectional) { (_: RPCReader<TestMessage>, _: RPCWriter<TestMessage>, _) in
        await Latch().wait()
      },
      TestService.echo.methodHandlers[0],
    ])
    try await withServer([service]) { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(
        .request(TestService.bidirectional, on: 1, [], flags: [.remoteOpen, .noData]),
        Frame(streamID: StreamID(1), type: .data, flags: [.remoteClosed, .noData]),
        Frame(streamID: StreamID(1), type: .data, payload: [1]))
      #expect(try socket.response(on: 1) == .invalidArgument)
    }
  }

  /// Go servers die of this one.
  @Test func dataOnAUnaryStream() async throws {
    let service = TestService([
      .unary(TestService.method("Wait", .unary)) { (request: TestMessage, _) in
        await Latch().wait()
        return request
      },
      TestService.echo.methodHandlers[0],
    ])
    try await withServer([service]) { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(
        .request(TestService.method("Wait", .unary), on: 1), Frame(streamID: StreamID(1), type: .data, payload: [1]))
      #expect(try socket.response(on: 1) == .invalidArgument)
    }
  }

  @Test(arguments: [[0xFF], [0x0A, 100, 1], [0x0B], [0x2A, 2, 0x0A, 9], [0x00]] as [[UInt8]])
  func garbageEnvelopes(bytes: [UInt8]) async throws {
    let frames = [Frame(streamID: StreamID(1), type: .request, payload: bytes)]
    #expect(try await codes(frames, answers: 1) == [[1, 3]])
  }

  @Test func aMillionPairs() async throws {
    let pairs = (0..<1_000_000).flatMap { _ in [0x2A, 0] as [UInt8] }
    let frames = [Frame(streamID: StreamID(1), type: .request, payload: pairs)]
    #expect(try await codes(frames, answers: 1) == [[1, 8]])
  }

  // MARK: Anything

  @Test(arguments: 0..<20 as Range<UInt64>) func randomBytes(seed: UInt64) async throws {
    let random = SeededRandom(seed: seed)
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      for _ in 0..<50 {
        // Headers of short frames of known types lead further into the server than noise alone.
        var bytes = raw(
          UInt32(random.next(below: 40)), UInt32(random.next(below: 8)),
          FrameType(rawValue: UInt8(random.next(below: 5))))
        bytes += (0..<random.next(below: 60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        do {
          try socket.send(bytes)
        } catch {
          break
        }
      }
      if seed % 2 == 0 { socket.resetOnClose() }
    }
  }

  @Test(arguments: [true, false]) func losingAPeerCancelsItsHandlers(resets: Bool) async throws {
    let started = Watched(0)
    let cancelled = Watched(0)
    let service = TestService([
      .unary(TestService.method("Wait", .unary)) { (request: TestMessage, _) in
        started.update { $0 += 1 }
        await Latch().wait()
        cancelled.update { $0 += 1 }
        return request
      },
      TestService.echo.methodHandlers[0],
    ])
    try await withServer([service]) { endpoint in
      var socket: RawSocket? = try RawSocket(endpoint)
      for id in [1, 3, 5] as [UInt32] { try socket?.send(.request(TestService.method("Wait", .unary), on: id)) }
      await started.wait { $0 == 3 }
      if resets { socket?.resetOnClose() }
      socket = nil
      await cancelled.wait { $0 == 3 }
    }
  }

  // MARK: Extensions

  private static let hello: Frame = {
    var payload: [UInt8] = []
    Hello().append(to: &payload)
    return Frame(streamID: .connection, type: .hello, payload: payload)
  }()

  /// Frames of the extensions that make no sense are ignored, and the connection serves on.
  @Test(arguments: [
    hello,
    Frame(streamID: .connection, type: .hello, flags: .acknowledgement),
    Frame(streamID: .connection, type: .ping, flags: .acknowledgement, payload: [UInt8](repeating: 1, count: 8)),
    Frame(streamID: .connection, type: .window, payload: [0xFF, 0xFF, 0xFF, 0xFF]),
    Frame(streamID: .first, type: .window, payload: [0xFF, 0xFF, 0xFF, 0xFF]),
    Frame(streamID: .first, type: .cancel), Frame(streamID: StreamID(99), type: .cancel, payload: [1, 2, 3]),
    Frame(streamID: .first, type: .headers, payload: [1]), Frame(streamID: .first, type: .end, payload: [0xFF]),
    Frame(streamID: .connection, type: FrameType(rawValue: 0x4F), payload: [1]),
    Frame(streamID: .connection, type: .data, flags: .more, payload: [1]),
  ]) func extensionFramesOutOfPlace(frame: Frame) async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(Self.hello, frame, .request(TestService.unary, on: 101))
      #expect(try socket.receive()?.type == .hello)
      var answer = try #require(try socket.receive())
      // What is answered on the id of the frame itself does not matter here.
      while answer.streamID != StreamID(101) { answer = try #require(try socket.receive()) }
      #expect(try ResponseEnvelope(parsing: answer.payload[...], metadataLimit: 0).error == nil)
    }
  }

  /// Frames about the connection that cannot be read end it, with the reason.
  @Test(arguments: [
    Frame(streamID: .connection, type: .goAway, payload: [0xFF]),
    Frame(streamID: .connection, type: .ping, payload: [1, 2, 3]),
    Frame(streamID: .connection, type: .window, payload: [1]),
    Frame(streamID: .first, type: .window, payload: []),
  ]) func extensionFramesThatCannotBeRead(frame: Frame) async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(Self.hello, frame)
      #expect(try socket.receive()?.type == .hello)
      let goAway = try #require(try socket.receive())
      #expect(goAway.type == .goAway)
      #expect(try GoAway(parsing: goAway.payload[...]).code == .invalidArgument)
      // Then which call was the last, and nothing more.
      while let frame = try socket.receive() { #expect(frame.type == .goAway) }
    }
  }

  /// A message in fragments that never ends, on many streams: each is bounded, and so are all.
  @Test func fragmentsWithoutEnd() async throws {
    try await withServer { endpoint in
      let socket = try RawSocket(endpoint)
      try socket.send(Self.hello)
      #expect(try socket.receive()?.type == .hello)
      let part = [UInt8](repeating: 7, count: 64 * 1024)
      for id in stride(from: 1 as UInt32, to: 401, by: 2) {
        try socket.send(Frame(streamID: StreamID(id), type: .request, flags: [.extended, .more], payload: part))
      }
      // 8 MiB are held; what is beyond is refused.
      var refused = 0
      while refused < 72 {
        let answer = try #require(try socket.receive())
        let error = try ResponseEnvelope(parsing: answer.payload[...], metadataLimit: 0).error
        #expect(error?.code == .resourceExhausted)
        refused += 1
      }
      try socket.send(.request(TestService.unary, on: 1001))
      #expect(try socket.response(on: 1001) == .ok)
    }
  }
}
