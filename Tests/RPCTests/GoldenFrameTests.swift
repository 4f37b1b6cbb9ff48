import RPCTestSupport
import Testing

@testable import RPC

/// The frames of one call of each shape, byte for byte, as recorded between Go peers: what our client sends and takes, and
/// what our server takes and sends.
///
/// | shape | client | server |
/// |---|---|---|
/// | unary | Request 00 | Response |
/// | server stream | Request 01 with the payload | Data 00 * then Data 05 empty; on error Response |
/// | client stream | Request 02 or 06, Data 00 *, Data 05 empty | Response with the one reply |
/// | bidi | Request 02 or 06, Data 00 *, Data 05 empty | Data 00 * then Data 05 empty; on error Response |
@Suite struct GoldenFrameTests {
  // length, stream id, type, flags | service "s.S", method "U", "C", "D" or "B" | payload
  private static let name = "0A03 732E53 1201"
  private static let unaryRequest = "0000000C 00000001 01 00 \(name) 55 1A02 6869"
  private static let unaryResponse = "00000004 00000001 02 00 1202 6869"
  private static let downRequest = "0000000D 00000001 01 01 \(name) 44 1A03 612C62"
  private static let upRequest = "00000008 00000001 01 06 \(name) 43"
  private static let bidiRequest = "00000008 00000001 01 06 \(name) 42"
  private static let dataA = "00000001 00000001 03 00 61"
  private static let dataB = "00000001 00000001 03 00 62"
  private static let dataEmpty = "00000000 00000001 03 00"
  private static let end = "00000000 00000001 03 05"
  private static let joinedResponse = "00000005 00000001 02 00 1203 612C62"
  private static let emptyResponse = "00000000 00000001 02 00"
  /// status { code: 5 message: "no" }
  private static let errorResponse = "00000008 00000001 02 00 0A06 0805 1202 6E6F"

  private static let unary = MethodDescriptor(service: "s.S", method: "U", shape: .unary)
  private static let down = MethodDescriptor(service: "s.S", method: "D", shape: .serverStreaming)
  private static let up = MethodDescriptor(service: "s.S", method: "C", shape: .clientStreaming)
  private static let bidi = MethodDescriptor(service: "s.S", method: "B", shape: .bidirectional)

  private static func bytes(_ hex: String...) -> [UInt8] {
    let digits = Array(hex.joined().filter { $0 != " " })
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }

  // MARK: As a server

  /// What a server that echoes answers to `requests`; each of its methods fails with NOT_FOUND for the request `x`.
  private func answer(_ requests: String...) -> [UInt8] {
    let error = RPCError(.notFound, "no")
    let service = TestService([
      .unary(Self.unary) { (request: TestMessage, _) in
        if request == "x" { throw error }
        return request
      },
      .clientStreaming(Self.up) { (requests: RPCReader<TestMessage>, _) in
        var parts: [String] = []
        for try await request in requests {
          if request == "x" { throw error }
          parts.append(request.text)
        }
        return TestMessage(parts.joined(separator: ","))
      },
      .serverStreaming(Self.down) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
        for part in request.text.split(separator: ",") { try await replies.write(TestMessage(String(part))) }
        if request.text.hasSuffix("x") { throw error }
      },
      .bidirectional(Self.bidi) { (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
        for try await request in requests {
          if request == "x" { throw error }
          try await replies.write(request)
        }
      },
    ])
    let simulation = Simulation()
    let connection = ServerConnection(
      io: TestIO(executor: simulation.executor), router: TestService.router(service), clock: simulation.clock)
    connection.receive(requests.flatMap { Self.bytes($0) })
    simulation.executor.run()
    return connection.drainOutbound()
  }

  @Test func serverUnary() {
    #expect(answer(Self.unaryRequest) == Self.bytes(Self.unaryResponse))
    #expect(answer("00000008 00000001 01 00 \(Self.name) 55") == Self.bytes(Self.emptyResponse))
    #expect(answer("0000000B 00000001 01 00 \(Self.name) 55 1A01 78") == Self.bytes(Self.errorResponse))
  }

  @Test func serverSideStream() {
    #expect(answer(Self.downRequest) == Self.bytes(Self.dataA, Self.dataB, Self.end))
    #expect(answer("00000008 00000001 01 01 \(Self.name) 44") == Self.bytes(Self.end))
    #expect(
      answer("0000000D 00000001 01 01 \(Self.name) 44 1A03 612C78")
        == Self.bytes(Self.dataA, "00000001 00000001 03 00 78", Self.errorResponse))
  }

  /// Opened with 06 and with 02, with and without a first message in the request, with and without empty messages.
  @Test func clientSideStream() {
    #expect(answer(Self.upRequest, Self.dataA, Self.dataB, Self.end) == Self.bytes(Self.joinedResponse))
    let plainOpen = "00000008 00000001 01 02 \(Self.name) 43"
    #expect(answer(plainOpen, Self.dataA, Self.dataB, Self.end) == Self.bytes(Self.joinedResponse))
    let openWithMessage = "0000000B 00000001 01 02 \(Self.name) 43 1A01 61"
    #expect(answer(openWithMessage, Self.dataB, Self.end) == Self.bytes(Self.joinedResponse))
    #expect(answer(Self.upRequest, Self.end) == Self.bytes(Self.emptyResponse))
    #expect(
      answer(Self.upRequest, Self.dataEmpty, Self.dataA, Self.end)
        == Self.bytes("00000004 00000001 02 00 1202 2C61"))
    #expect(answer(Self.upRequest, "00000001 00000001 03 00 78") == Self.bytes(Self.errorResponse))
    #expect(answer(Self.upRequest, Self.dataA) == [])
  }

  @Test func bidirectionalStream() {
    let all = [Self.dataA, Self.dataEmpty, Self.dataB].joined()
    #expect(answer(Self.bidiRequest, all, Self.end) == Self.bytes(all, Self.end))
    #expect(answer(Self.bidiRequest, all) == Self.bytes(all))
    #expect(answer(Self.bidiRequest, Self.end) == Self.bytes(Self.end))
    #expect(
      answer(Self.bidiRequest, Self.dataA, "00000001 00000001 03 00 78") == Self.bytes(Self.dataA, Self.errorResponse))
  }

  // MARK: As a client

  /// What a client sends when it makes a call, then when it gets `answer`; and what the call gives.
  private func call(
    answer: String, _ body: @escaping @Sendable (SingleConnectionChannel) async throws -> String
  ) throws -> (sent: [UInt8], outcome: Result<String, any Error>) {
    let simulation = Simulation()
    var limits = ConnectionLimits()
    limits.offersExtensions = false
    let connection = ClientConnection(
      io: TestIO(executor: simulation.executor), clock: simulation.clock, limits: limits)
    let outcome = Watched<Result<String, any Error>?>(nil)
    Task(executorPreference: simulation.executor) {
      do {
        let text = try await body(SingleConnectionChannel(connection))
        outcome.update { $0 = .success(text) }
      } catch {
        outcome.update { $0 = .failure(error) }
      }
    }
    simulation.executor.run()
    let sent = connection.drainOutbound()
    #expect(outcome.value == nil)
    connection.receive(Self.bytes(answer))
    simulation.executor.run()
    #expect(connection.drainOutbound() == [], "nothing follows the outcome")
    #expect(connection.callCount == 0)
    return (sent, try #require(outcome.value))
  }

  private func notFound(_ outcome: Result<String, any Error>) -> Bool {
    if case .failure(let error as RPCError) = outcome { return error == RPCError(.notFound, "no") }
    return false
  }

  @Test func unaryClient() throws {
    func make(_ answer: String) throws -> (sent: [UInt8], outcome: Result<String, any Error>) {
      try call(answer: answer) { channel in
        let reply: TestMessage = try await channel.unary(Self.unary, TestMessage("hi"), options: CallOptions())
        return reply.text
      }
    }
    let answers = [(Self.unaryResponse, "hi"), (Self.emptyResponse, "")]
    for (answer, expected) in answers {
      let (sent, outcome) = try make(answer)
      #expect(sent == Self.bytes(Self.unaryRequest))
      #expect(try outcome.get() == expected)
    }
    #expect(notFound(try make(Self.errorResponse).outcome))
  }

  @Test func serverStreamingClient() throws {
    func make(_ answer: String) throws -> (sent: [UInt8], outcome: Result<String, any Error>) {
      try call(answer: answer) { channel in
        try await channel.serverStreaming(Self.down, TestMessage("a,b"), options: CallOptions()) {
          (replies: RPCReader<TestMessage>) in
          var parts: [String] = []
          for try await reply in replies { parts.append(reply.text) }
          return parts.joined(separator: ",")
        }
      }
    }
    let answers = [
      (Self.dataA + Self.dataB + Self.end, "a,b"), (Self.dataA + Self.dataEmpty + Self.end, "a,"), (Self.end, ""),
      // A plain peer may end with a Response, and put the last message into it or into the last Data.
      (Self.dataA + Self.emptyResponse, "a"), (Self.dataA + "00000003 00000001 02 00 1201 62", "a,b"),
      (Self.dataA + "00000001 00000001 03 01 62", "a,b"),
    ]
    for (answer, expected) in answers {
      let (sent, outcome) = try make(answer)
      #expect(sent == Self.bytes(Self.downRequest))
      #expect(try outcome.get() == expected)
    }
    #expect(notFound(try make(Self.dataA + Self.errorResponse).outcome))
  }

  @Test func clientStreamingClient() throws {
    func make(_ answer: String) throws -> (sent: [UInt8], outcome: Result<String, any Error>) {
      try call(answer: answer) { channel in
        let reply: TestMessage = try await channel.clientStreaming(Self.up, options: CallOptions()) {
          (requests: RPCWriter<TestMessage>) in
          for text in ["a", "", "b"] { try await requests.write(TestMessage(text)) }
        }
        return reply.text
      }
    }
    let (sent, outcome) = try make(Self.joinedResponse)
    #expect(sent == Self.bytes(Self.upRequest, Self.dataA, Self.dataEmpty, Self.dataB, Self.end))
    #expect(try outcome.get() == "a,b")
    #expect(notFound(try make(Self.errorResponse).outcome))
  }

  @Test func bidirectionalClient() throws {
    let (sent, outcome) = try call(answer: Self.dataB + Self.dataA + Self.end) { channel in
      try await channel.bidirectional(Self.bidi, options: CallOptions()) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        for text in ["a", "b"] { try await requests.write(TestMessage(text)) }
        requests.finish()
        requests.finish()
        var parts: [String] = []
        for try await reply in replies { parts.append(reply.text) }
        return parts.joined(separator: ",")
      }
    }
    #expect(sent == Self.bytes(Self.bidiRequest, Self.dataA, Self.dataB, Self.end))
    #expect(try outcome.get() == "b,a")
  }

  /// Timeout and metadata stand in fields 4 and 5; a call that is given up is followed by a CANCEL frame.
  @Test func optionsAndCancel() throws {
    let simulation = Simulation()
    var limits = ConnectionLimits()
    limits.offersExtensions = false
    let connection = ClientConnection(
      io: TestIO(executor: simulation.executor), clock: simulation.clock, limits: limits)
    let task = Task(executorPreference: simulation.executor) {
      let options = CallOptions(timeout: .nanoseconds(300), metadata: ["k": "v"])
      let _: TestMessage = try await SingleConnectionChannel(connection).unary(
        Self.unary, TestMessage(), options: options)
    }
    simulation.executor.run()
    #expect(
      connection.drainOutbound()
        == Self.bytes("00000013 00000001 01 00 \(Self.name) 55 20 AC02 2A06 0A01 6B 1201 76"))
    task.cancel()
    simulation.executor.run()
    #expect(connection.drainOutbound() == Self.bytes("00000000 00000001 42 00"))
  }
}
