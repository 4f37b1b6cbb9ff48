import Testing
import TimeAndChance

@testable import RPC
@testable import RPCTestSupport

/// The client's shell against a transport that a test drives by hand, in virtual time: what happens while nothing can be
/// written, while a consumer is behind, at a deadline, at a cancellation, and when the connection goes.
@Suite struct ClientConnectionTests {
  private let simulation = Simulation()
  private let io: TestIO
  private let connection: ClientConnection
  private var channel: SingleConnectionChannel { SingleConnectionChannel(connection) }

  init() {
    io = TestIO(executor: simulation.executor)
    var limits = ConnectionLimits()
    limits.stallTimeout = .seconds(10)
    limits.lastStreamID = StreamID(2001)
    limits.offersExtensions = false
    connection = ClientConnection(io: io, clock: simulation.clock, limits: limits)
  }

  /// Runs `body` as a task, as far as it gets.
  private func start<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) -> Watched<
    Result<Value, any Error>?
  > {
    let outcome = Watched<Result<Value, any Error>?>(nil)
    Task(executorPreference: simulation.executor) {
      do {
        let value = try await body()
        outcome.update { $0 = .success(value) }
      } catch {
        outcome.update { $0 = .failure(error) }
      }
    }
    simulation.executor.run()
    return outcome
  }

  private func startUnary(
    _ request: TestMessage = "hi", _ options: CallOptions = CallOptions()
  ) -> Watched<Result<TestMessage, any Error>?> {
    start { [channel] in try await channel.unary(TestService.unary, request, options: options) }
  }

  private func frames() -> [Frame] {
    var decoder = FrameDecoder(maximumPayload: .max)
    return decoder.decode(connection.drainOutbound().span.bytes).compactMap { event in
      if case .frame(let frame) = event { return frame }
      return nil
    }
  }

  private func receive(_ frames: Frame...) {
    connection.receive(frames.flatMap(\.bytes))
    simulation.executor.run()
  }

  private func code<Value>(_ outcome: Watched<Result<Value, any Error>?>) -> StatusCode? {
    if case .failure(let error as RPCError)? = outcome.value { return error.code }
    return nil
  }

  /// More than may wait to be written, in one request.
  private static let large = TestMessage([UInt8](repeating: 1, count: Outbound.highWater))

  private func timer(after duration: Duration) {
    simulation.clock.advance(by: duration)
    connection.timerFired()
    simulation.executor.run()
  }

  // MARK: While nothing can be written

  /// The deadline holds for a call whose request waits behind others, and the server never hears of it.
  @Test func theDeadlineCoversTheWaitForRoom() {
    let first = startUnary(Self.large)
    let second = startUnary("b", CallOptions(timeout: .seconds(5)))
    #expect(connection.demand().timer == simulation.clock.now.advanced(by: .seconds(5)))
    timer(after: .seconds(5))
    #expect(code(second) == .deadlineExceeded && first.value == nil)
    #expect(frames().map(\.streamID) == [StreamID(1)])
  }

  @Test func aCancelledCallThatWaitsIsNeverSent() {
    _ = startUnary(Self.large)
    let task = Task(executorPreference: simulation.executor) { [channel] in
      let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("b"), options: CallOptions())
    }
    simulation.executor.run()
    #expect(connection.callCount == 2)
    task.cancel()
    simulation.executor.run()
    #expect(connection.callCount == 1)
    _ = startUnary("c")
    #expect(frames().map(\.streamID) == [StreamID(1), StreamID(5)])
  }

  /// A writer that waits goes on when the transport takes, in order; the half-close comes last.
  @Test func writersWaitForRoom() {
    let written = Watched(0)
    let call = start { [channel] in
      let reply: TestMessage = try await channel.clientStreaming(TestService.clientStreaming, options: CallOptions()) {
        (requests: RPCWriter<TestMessage>) in
        for _ in 0..<5 {
          try await requests.write(Self.large)
          written.update { $0 += 1 }
        }
      }
      return reply.text
    }
    var sent: [Frame] = []
    for expected in 1...5 {
      #expect(written.value == expected)
      var buffer: [UInt8] = []
      connection.takeOutbound(&buffer)
      var decoder = FrameDecoder(maximumPayload: .max)
      for case .frame(let frame) in decoder.decode(buffer.span.bytes) { sent.append(frame) }
      simulation.executor.run()
    }
    sent += frames()
    #expect(sent.map(\.type) == [.request] + Array(repeating: .data, count: 6))
    #expect(sent.last?.flags == [.remoteClosed, .noData] && sent.last?.payload == [])
    receive(Frame(streamID: StreamID(1), type: .response, payload: [0x12, 1, 0x61]))
    #expect((try? call.value?.get()) == "a")
  }

  /// The server ends the call while a writer waits: the writer is told at once, without anything being taken.
  @Test func aWaitingWriterLearnsThatTheCallEnded() {
    let call = start { [channel] in
      let reply: TestMessage = try await channel.clientStreaming(TestService.clientStreaming, options: CallOptions()) {
        (requests: RPCWriter<TestMessage>) in
        while true { try await requests.write(Self.large) }
      }
      return reply.text
    }
    #expect(call.value == nil)
    receive(Frame(streamID: StreamID(1), type: .response, payload: [0x12, 1, 0x61]))
    #expect((try? call.value?.get()) == "a", "what the body throws gives way to the reply")
    #expect(connection.callCount == 0)
  }

  @Test func aWaitingWriterCanBeCancelled() {
    let task = Task(executorPreference: simulation.executor) { [connection] in
      let call = try #require(
        try connection.open(
          OutgoingCall(method: TestService.bidirectional, request: [], metadata: [:], deadline: nil)))
      try await call.send(Self.large.payload)
      try await call.send([1])
    }
    simulation.executor.run()
    task.cancel()
    simulation.executor.run()
    let outcome = start { try await task.value }
    #expect(code(outcome) == .cancelled)
    #expect(frames().map(\.type) == [.request, .data])
  }

  // MARK: A consumer that is behind

  private func openStream() -> (reader: @Sendable () async throws -> Int, call: ClientCall)? {
    let outgoing = OutgoingCall(method: TestService.serverStreaming, request: [], metadata: [:], deadline: nil)
    guard let call = try? connection.open(outgoing) else { return nil }
    return ({ try await call.next()?.count ?? -1 }, call)
  }

  private static let half = [UInt8](repeating: 1, count: MessageQueue.highWater / 2)

  @Test func readingStopsUntilTheConsumerCatchesUp() throws {
    let stream = try #require(openStream())
    let data = Frame(streamID: StreamID(1), type: .data, payload: Self.half)
    receive(data)
    #expect(connection.demand().reads)
    receive(data)
    #expect(!connection.demand().reads)
    _ = io.takeWakes()
    let first = start(stream.reader)
    #expect(try first.value?.get() == Self.half.count)
    #expect(connection.demand().reads == false, "half of it is still there")
    let second = start(stream.reader)
    #expect(try second.value?.get() == Self.half.count)
    #expect(io.takeWakes() == 1)
    #expect(connection.demand().reads)
  }

  /// The call whose replies nobody reads is failed, and the server told; others go on.
  @Test func aStallFailsItsCallAlone() throws {
    let stream = try #require(openStream())
    let other = startUnary()
    _ = frames()
    for _ in 0..<3 { receive(Frame(streamID: StreamID(1), type: .data, payload: Self.half)) }
    #expect(!connection.demand().reads)
    timer(after: .seconds(9))
    #expect(!connection.demand().reads)
    timer(after: .seconds(1))
    #expect(connection.demand().reads)
    #expect(frames() == [Frame(streamID: StreamID(1), type: .cancel)])
    #expect(code(start(stream.reader)) == .resourceExhausted)
    receive(Frame(streamID: StreamID(3), type: .response))
    #expect(try other.value?.get() == TestMessage())
  }

  /// A stream that has ended brings nothing more: it does not keep the connection from reading, and can be read to its end.
  @Test func anEndedStreamDoesNotStall() throws {
    let stream = try #require(openStream())
    for _ in 0..<3 { receive(Frame(streamID: StreamID(1), type: .data, payload: Self.half)) }
    #expect(!connection.demand().reads)
    receive(Frame(streamID: StreamID(1), type: .data, flags: [.remoteClosed, .noData]))
    #expect(connection.demand().reads)
    let rest = start {
      var counts: [Int] = []
      while let message = try await stream.call.next() { counts.append(message.count) }
      return counts
    }
    #expect(try rest.value?.get() == Array(repeating: Self.half.count, count: 3))
  }

  @Test func givingUpAStalledCallResumesReading() throws {
    let stream = try #require(openStream())
    for _ in 0..<3 { receive(Frame(streamID: StreamID(1), type: .data, payload: Self.half)) }
    stream.call.cancel()
    #expect(connection.demand().reads)
    #expect(code(start(stream.reader)) == .cancelled)
  }

  // MARK: Ends

  @Test func whatCannotBeSentIsRefusedAtOnce() {
    #expect(code(startUnary("a", CallOptions(timeout: .zero))) == .deadlineExceeded)
    #expect(code(startUnary("a", CallOptions(timeout: .seconds(-1)))) == .deadlineExceeded)
    #expect(code(startUnary("a", CallOptions(metadata: ["ä": "v"]))) == .invalidArgument)
    let limit = connection.limits.maximumFramePayload
    #expect(code(startUnary(TestMessage([UInt8](repeating: 1, count: limit)))) == .resourceExhausted)
    let tooMuch = CallOptions(metadata: ["k": String(repeating: "v", count: connection.limits.maximumMetadataBytes)])
    #expect(code(startUnary("a", tooMuch)) == .resourceExhausted)
    #expect(frames().isEmpty && connection.callCount == 0)
  }

  /// The largest request fills a frame to the last byte, whatever else the envelope holds.
  @Test func theLargestRequest() throws {
    let limit = connection.limits.maximumFramePayload
    let names = 2 + TestService.unary.service.utf8.count + 2 + TestService.unary.method.utf8.count
    // The field's number and length, and room for the longest timeout.
    let room = limit - names - 5 - 11
    #expect(startUnary(TestMessage([UInt8](repeating: 1, count: room))).value == nil)
    #expect(code(startUnary(TestMessage([UInt8](repeating: 1, count: room + 1)))) == .resourceExhausted)
    #expect(try #require(frames().first).payload.count == limit - 11)
  }

  @Test func losingTheConnectionFailsEveryCall() throws {
    let stream = try #require(openStream())
    let unary = startUnary()
    receive(Frame(streamID: StreamID(1), type: .data, payload: [1]))
    connection.closed(RPCError(.unavailable, "gone"))
    connection.closed(RPCError(.internal, "twice"))
    simulation.executor.run()
    #expect(code(unary) == .unavailable)
    // What has arrived can be read.
    #expect(try start(stream.reader).value?.get() == 1)
    #expect(code(start(stream.reader)) == .unavailable)
    #expect(connection.retired.isOpen && connection.callCount == 0)
    #expect(code(startUnary()) == SingleConnectionChannel.unusable.code)
    #expect(connection.demand().closes)
  }

  /// A call is given up in every state exactly once, and after its end nothing is sent.
  @Test func cancellingAfterTheEndSendsNothing() throws {
    let stream = try #require(openStream())
    _ = frames()
    receive(Frame(streamID: StreamID(1), type: .data, flags: [.remoteClosed, .noData]))
    stream.call.cancel()
    stream.call.cancel()
    #expect(frames().isEmpty)
    let other = try #require(openStream())
    _ = frames()
    other.call.cancel()
    other.call.cancel()
    #expect(frames() == [Frame(streamID: StreamID(3), type: .cancel)])
    // What crossed the cancel on the wire is ignored.
    receive(Frame(streamID: StreamID(3), type: .data, payload: [1]), Frame(streamID: StreamID(3), type: .response))
    #expect(frames().isEmpty && connection.callCount == 0)
  }

  /// Reusing a connection after its last id is refused; it closes when asked to and idle.
  @Test func exhaustion() {
    let calls = (0..<1001).map { _ in startUnary("x") }
    #expect(connection.retired.isOpen && connection.callCount == 1001)
    #expect(code(startUnary()) == SingleConnectionChannel.unusable.code)
    connection.closeWhenIdle()
    #expect(!connection.demand().closes)
    for index in 0..<1001 { receive(Frame(streamID: StreamID(UInt32(2 * index + 1)), type: .response)) }
    #expect(calls.allSatisfy { (try? $0.value?.get()) == TestMessage() })
    #expect(connection.demand().closes && connection.isClosed)
  }

  @Test func aBrokenProtocolFailsItsCallAndTellsTheServer() {
    let first = startUnary()
    let second = startUnary()
    _ = frames()
    receive(Frame(streamID: StreamID(1), type: .data, payload: [1]))
    #expect(code(first) == .internal)
    #expect(frames() == [Frame(streamID: StreamID(1), type: .cancel)])
    let header = FrameHeader(length: .max, streamID: StreamID(3), type: .response, flags: [])
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    connection.receive(bytes)
    simulation.executor.run()
    #expect(code(second) == .resourceExhausted)
  }
}
