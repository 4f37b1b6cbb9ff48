import Synchronization
import Testing
import TimeAndChance

@testable import RPC
@testable import RPCTestSupport

/// The server's shell against a transport that a test drives by hand, in virtual time: what happens when a peer does not
/// read, sends too much, gives up, or goes; and how a server stops.
@Suite struct ServerConnectionTests {
  private let simulation = Simulation()
  private let io: TestIO
  private let connection: ServerConnection
  private let probe = Probe()

  /// What the handlers below did.
  private struct Probe: Sendable {
    let started = Watched(0)
    let ended = Watched<[StatusCode]>([])
    let cancelled = Watched(0)
    let written = Watched(0)
    let release = Latch()
    let connectionEnded = Latch()
  }

  init() {
    io = TestIO(executor: simulation.executor)
    var limits = ConnectionLimits()
    limits.stallTimeout = .seconds(10)
    limits.maximumConcurrentCalls = 4
    limits.maximumFramePayload = 1 << 20
    let probe = probe
    let service = TestService([
      .unary(TestService.unary) { (request: TestMessage, _) in
        probe.started.update { $0 += 1 }
        await withTaskCancellationHandler {
          await probe.release.wait()
        } onCancel: {
          probe.cancelled.update { $0 += 1 }
        }
        // Does not mind being cancelled.
        probe.ended.update { $0.append(.ok) }
        return request
      },
      .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) in
        probe.started.update { $0 += 1 }
        await probe.release.wait()
        var count = 0
        do throws(RPCError) {
          while try await requests.next() != nil { count += 1 }
        } catch {
          probe.ended.update { $0.append(error.code) }
          throw error
        }
        return TestMessage("\(count)")
      },
      .serverStreaming(TestService.serverStreaming) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
        probe.started.update { $0 += 1 }
        do throws(RPCError) {
          while true {
            try await replies.write(request)
            probe.written.update { $0 += 1 }
          }
        } catch {
          probe.ended.update { $0.append(error.code) }
          throw error
        }
      },
    ])
    connection = ServerConnection(
      io: io, router: TestService.router(service), clock: simulation.clock, limits: limits
    ) { probe.connectionEnded.open() }
  }

  private func request(
    _ method: MethodDescriptor, _ id: UInt32, _ payload: [UInt8] = [1], timeout: Int64 = 0, flags: FrameFlags? = nil
  ) -> Frame {
    let envelope = RequestEnvelope(name: method.name, payload: payload[...], timeoutNanoseconds: timeout)
    var bytes: [UInt8] = []
    envelope.append(to: &bytes)
    let usual: FrameFlags = method.shape.streamsRequests ? [.remoteOpen, .noData] : []
    return Frame(streamID: StreamID(id), type: .request, flags: flags ?? usual, payload: bytes)
  }

  private func receive(_ frames: Frame...) {
    connection.receive(frames.flatMap(\.bytes))
    simulation.executor.run()
  }

  private func frames() -> [Frame] {
    var decoder = FrameDecoder(maximumPayload: .max)
    return decoder.decode(connection.drainOutbound().span.bytes).compactMap { event in
      if case .frame(let frame) = event { return frame }
      return nil
    }
  }

  /// The codes of the responses among the frames, by stream.
  private func codes() -> [UInt32: StatusCode] {
    var codes: [UInt32: StatusCode] = [:]
    for frame in frames() where frame.type == .response {
      codes[frame.streamID.rawValue] =
        (try? ResponseEnvelope(parsing: frame.payload[...], metadataLimit: 16_384))?.error?.code ?? .ok
    }
    return codes
  }

  private func timer(after duration: Duration) {
    simulation.clock.advance(by: duration)
    connection.timerFired()
    simulation.executor.run()
  }

  // MARK: Push-back

  /// A peer that does not read a stream: the handler stops writing. The peer is still heard, so that it can cancel.
  @Test func aStreamThatIsNotRead() {
    receive(request(TestService.serverStreaming, 1, [UInt8](repeating: 1, count: 1000)))
    let bound = Outbound.highWater / 1000 + 1
    #expect(probe.written.value <= bound && probe.written.value > bound / 2)
    #expect(connection.demand().reads)
    let before = probe.written.value
    var buffer: [UInt8] = []
    connection.takeOutbound(&buffer)
    simulation.executor.run()
    #expect(probe.written.value > before && probe.written.value <= 2 * bound)
    receive(Frame(streamID: StreamID(1), type: .cancel))
    #expect(probe.ended.value == [.cancelled])
  }

  /// A peer that does not read its replies: no more requests are read until it does.
  @Test func repliesThatAreNotRead() {
    probe.release.open()
    let payload = [UInt8](repeating: 1, count: 10_000)
    var id: UInt32 = 1
    while connection.demand().reads, id < 1000 {
      receive(request(TestService.unary, id, payload))
      id += 2
    }
    let calls = Int(id / 2)
    #expect(calls == Outbound.highWater / 10_013 + 1)
    #expect(io.takeWakes() > 0)
    var buffer: [UInt8] = []
    connection.takeOutbound(&buffer)
    #expect(io.takeWakes() == 1)
    #expect(connection.demand().reads)
    // The same for errors, which are answered without a handler.
    while connection.demand().reads, id < 100_000 {
      receive(request(TestService.method("Missing", .unary), id, []))
      id += 2
    }
    #expect(!connection.demand().reads)
    _ = frames()
    #expect(connection.demand().reads)
  }

  @Test func aHandlerThatDoesNotRead() {
    let data = Frame(streamID: StreamID(1), type: .data, payload: [UInt8](repeating: 1, count: 1 << 19))
    receive(request(TestService.clientStreaming, 1, []), data)
    #expect(connection.demand().reads)
    receive(data, data)
    #expect(!connection.demand().reads)
    probe.release.open()
    simulation.executor.run()
    #expect(connection.demand().reads)
    receive(Frame(streamID: StreamID(1), type: .data, flags: [.remoteClosed, .noData]))
    #expect(codes() == [1: .ok])
  }

  /// Only the stream that is not read is failed: its caller gets RESOURCE_EXHAUSTED, its handler is cancelled.
  @Test func aStallFailsItsCallAlone() {
    let data = Frame(streamID: StreamID(1), type: .data, payload: [UInt8](repeating: 1, count: 1 << 20))
    receive(request(TestService.clientStreaming, 1, []), request(TestService.unary, 3), data, data)
    #expect(!connection.demand().reads)
    timer(after: .seconds(10))
    #expect(connection.demand().reads)
    #expect(codes() == [1: .resourceExhausted])
    // The handler was waiting for something else: it is cancelled, and reads the reason.
    #expect(probe.ended.value == [.resourceExhausted])
    probe.release.open()
    simulation.executor.run()
    #expect(codes() == [3: .ok])
  }

  @Test func manyEmptyMessagesStall() {
    receive(request(TestService.clientStreaming, 1, []))
    let frame = Frame(streamID: StreamID(1), type: .data)
    let bytes = Array(repeatElement(frame.bytes, count: 100).joined())
    var count = 0
    while connection.demand().reads, count < 1_000_000 {
      connection.receive(bytes)
      count += 100
    }
    #expect(count * MessageQueue.messageOverhead < 2 * MessageQueue.highWater)
  }

  // MARK: Limits

  @Test func tooManyCalls() {
    receive(
      request(TestService.unary, 1), request(TestService.unary, 3), request(TestService.unary, 5),
      request(TestService.unary, 7), request(TestService.unary, 9))
    #expect(codes() == [9: .resourceExhausted])
    probe.release.open()
    simulation.executor.run()
    receive(request(TestService.unary, 11))
    #expect(codes() == [1: .ok, 3: .ok, 5: .ok, 7: .ok, 11: .ok])
  }

  /// A caller that gives up all its calls at once can begin others at once, though their handlers are still ending.
  @Test func callsGivenUpMakeRoom() {
    let stubborn = ServerConnectionTests.stubborn(simulation)
    for id in [1, 3, 5, 7] as [UInt32] { stubborn.connection.receive(request(TestService.unary, id).bytes) }
    for id in [1, 3, 5, 7] as [UInt32] {
      stubborn.connection.receive(Frame(streamID: StreamID(id), type: .cancel).bytes)
    }
    for id in [9, 11, 13, 15] as [UInt32] { stubborn.connection.receive(request(TestService.unary, id).bytes) }
    simulation.executor.run()
    #expect(stubborn.started.value == 8)
  }

  /// A peer that opens and cancels without end does not start handlers without end: as many as it may have running are left
  /// to return.
  @Test func cancelledHandlersCount() {
    for index in 0..<100 as Range<UInt32> {
      receive(request(TestService.unary, 2 * index + 1), Frame(streamID: StreamID(2 * index + 1), type: .cancel))
    }
    // These return as soon as they are cancelled, so that each was started; the ones below wait for each other.
    #expect(probe.started.value == 100)
    let stubborn = ServerConnectionTests.stubborn(simulation)
    for index in 0..<100 as Range<UInt32> {
      stubborn.connection.receive(request(TestService.unary, 2 * index + 1).bytes)
      stubborn.connection.receive(Frame(streamID: StreamID(2 * index + 1), type: .cancel).bytes)
      simulation.executor.run()
    }
    #expect(stubborn.started.value == 8)
    stubborn.release.update { $0 = true }
    simulation.executor.run()
    stubborn.connection.receive(request(TestService.unary, 1001).bytes)
    simulation.executor.run()
    #expect(stubborn.started.value == 9)
  }

  /// A connection whose handlers take no notice of cancellation.
  private static func stubborn(
    _ simulation: Simulation
  ) -> (connection: ServerConnection, started: Watched<Int>, release: Watched<Bool>) {
    let started = Watched(0)
    let release = Watched(false)
    let service = TestService([
      .unary(TestService.unary) { (request: TestMessage, _) in
        started.update { $0 += 1 }
        await release.wait { $0 }
        return request
      }
    ])
    var limits = ConnectionLimits()
    limits.maximumConcurrentCalls = 4
    let connection = ServerConnection(
      io: TestIO(executor: simulation.executor), router: TestService.router(service), clock: simulation.clock,
      limits: limits)
    return (connection, started, release)
  }

  /// The largest reply that fits a frame with its envelope, and one byte more.
  @Test(arguments: [0, 1]) func oversizeReplies(excess: Int) throws {
    let reply = [UInt8](repeating: 1, count: (1 << 20) - 4 + excess)
    let service = TestService([.unary(TestService.unary) { (_: TestMessage, _) in TestMessage(reply) }])
    var limits = ConnectionLimits()
    limits.maximumFramePayload = 1 << 20
    let connection = ServerConnection(
      io: io, router: TestService.router(service), clock: simulation.clock, limits: limits)
    connection.receive(request(TestService.unary, 1).bytes)
    simulation.executor.run()
    var decoder = FrameDecoder(maximumPayload: 1 << 20)
    guard case .frame(let frame)? = decoder.decode(connection.drainOutbound().span.bytes).first else {
      Issue.record("a frame above the limit was sent")
      return
    }
    let response = try ResponseEnvelope(parsing: frame.payload[...], metadataLimit: 16_384)
    if excess == 0 {
      #expect(response.payload == reply[...] && frame.payload.count == 1 << 20)
    } else {
      #expect(response.error?.code == .resourceExhausted && response.payload.isEmpty)
    }
  }

  @Test func oversizeStreamMessages() {
    receive(request(TestService.serverStreaming, 1))
    _ = frames()
    let handler = TestService([
      .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
        try await replies.write(TestMessage([UInt8](repeating: 1, count: 100)))
        try await replies.write(TestMessage([UInt8](repeating: 1, count: 101)))
      }
    ])
    var limits = ConnectionLimits()
    limits.maximumFramePayload = 100
    let connection = ServerConnection(
      io: io, router: TestService.router(handler), clock: simulation.clock, limits: limits)
    connection.receive(request(TestService.serverStreaming, 1).bytes)
    simulation.executor.run()
    var decoder = FrameDecoder(maximumPayload: 200)
    let events = decoder.decode(connection.drainOutbound().span.bytes)
    guard events.count == 2, case .frame(let last) = events[1] else {
      Issue.record("\(events)")
      return
    }
    #expect(
      (try? ResponseEnvelope(parsing: last.payload[...], metadataLimit: 16_384))?.error?.code == .resourceExhausted)
  }

  // MARK: Deadlines

  @Test func deadlines() {
    receive(
      request(TestService.unary, 1, timeout: 5_000_000_000), request(TestService.unary, 3, timeout: 1_000_000_000),
      request(TestService.unary, 5, timeout: -1), request(TestService.unary, 7, timeout: .min),
      request(TestService.unary, 9, timeout: .max), request(TestService.unary, 11))
    #expect(codes() == [5: .deadlineExceeded, 7: .deadlineExceeded])
    #expect(probe.started.value == 4)
    #expect(connection.demand().timer == simulation.clock.now.advanced(by: .seconds(1)))
    timer(after: .seconds(1))
    #expect(codes() == [3: .deadlineExceeded] && probe.cancelled.value == 1)
    #expect(connection.demand().timer == simulation.clock.now.advanced(by: .seconds(4)))
    timer(after: .seconds(4))
    #expect(codes() == [1: .deadlineExceeded] && probe.cancelled.value == 2)
    probe.release.open()
    simulation.executor.run()
    #expect(codes() == [9: .ok, 11: .ok])
  }

  // MARK: Requests that do not fit the method

  @Test(
    arguments: [
      ([FrameFlags.remoteClosed.rawValue | 4], [], StatusCode.invalidArgument), ([4], [], .invalidArgument),
      ([2], ["05"], .invalidArgument), ([2], ["00", "00"], .invalidArgument), ([2], ["00", "05"], .ok),
      ([2], ["00"], .ok),
      ([2], ["01"], .ok), ([0], [], .ok), ([1], [], .ok),
    ] as [([UInt8], [String], StatusCode)]) func oneRequestIsTaken(flags: [UInt8], data: [String], code: StatusCode)
  {
    probe.release.open()
    let flags = FrameFlags(rawValue: flags[0])
    receive(request(TestService.unary, 1, [], flags: flags))
    for hex in data {
      let flags = FrameFlags(rawValue: UInt8(hex, radix: 16) ?? 0)
      let payload: [UInt8] = flags.contains(.noData) ? [] : [7]
      connection.receive(Frame(streamID: StreamID(1), type: .data, flags: flags, payload: payload).bytes)
    }
    simulation.executor.run()
    #expect(codes() == [1: code])
  }

  // MARK: Ends

  @Test func losingTheConnectionCancelsEveryHandler() {
    receive(request(TestService.unary, 1), request(TestService.clientStreaming, 3, []))
    connection.closed(RPCError(.unavailable, "gone"))
    connection.closed(RPCError(.unavailable, "twice"))
    #expect(!probe.connectionEnded.isOpen, "the handlers have not returned")
    simulation.executor.run()
    #expect(probe.ended.value.sorted { $0.rawValue < $1.rawValue } == [.ok, .unavailable])
    #expect(probe.connectionEnded.isOpen)
    #expect(frames().isEmpty)
    receive(request(TestService.unary, 5))
    #expect(probe.started.value == 2)
  }

  @Test func drainingLetsRunningCallsEnd() {
    receive(request(TestService.unary, 1))
    connection.drain()
    #expect(!connection.demand().closes)
    receive(request(TestService.unary, 3))
    #expect(codes() == [3: .unavailable])
    probe.release.open()
    simulation.executor.run()
    #expect(connection.demand().closes)
    #expect(codes() == [1: .ok])
  }

  @Test func drainingAnIdleConnectionClosesIt() {
    #expect(!connection.demand().closes)
    connection.drain()
    #expect(connection.demand().closes)
  }

  @Test(arguments: ["cancel", "deadline", "garbage"]) func drainingEndsHoweverTheLastCallDoes(way: String) {
    receive(request(TestService.clientStreaming, 1, [], timeout: 1_000_000_000))
    connection.drain()
    switch way {
    case "cancel": receive(Frame(streamID: StreamID(1), type: .cancel))
    case "deadline": timer(after: .seconds(1))
    default: receive(request(TestService.unary, 1))
    }
    #expect(connection.demand().closes)
  }

  @Test func closingAnswersWhatRuns() {
    receive(request(TestService.unary, 1), request(TestService.clientStreaming, 3, []))
    connection.close()
    simulation.executor.run()
    #expect(connection.demand().closes)
    #expect(codes() == [1: .unavailable, 3: .unavailable])
    #expect(probe.cancelled.value == 1)
  }

  /// A handler that is not typed may forget its reply: the caller must not wait for ever.
  @Test func aHandlerWithoutAReply() {
    let service = TestService([MethodHandler(TestService.clientStreaming, body: .streams { _, _ in })])
    let connection = ServerConnection(io: io, router: TestService.router(service), clock: simulation.clock)
    connection.receive(request(TestService.clientStreaming, 1, []).bytes)
    simulation.executor.run()
    var decoder = FrameDecoder(maximumPayload: 1 << 20)
    guard case .frame(let frame)? = decoder.decode(connection.drainOutbound().span.bytes).first else {
      Issue.record("no answer")
      return
    }
    #expect((try? ResponseEnvelope(parsing: frame.payload[...], metadataLimit: 16_384))?.error?.code == .internal)
  }

  /// A writer that outlives its handler is told, and sends nothing.
  @Test func aWriterThatOutlivesItsHandler() throws {
    let kept = Watched<RPCWriter<TestMessage>?>(nil)
    let service = TestService([
      .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
        kept.update { $0 = replies }
      }
    ])
    let connection = ServerConnection(io: io, router: TestService.router(service), clock: simulation.clock)
    connection.receive(request(TestService.serverStreaming, 1).bytes)
    simulation.executor.run()
    _ = connection.drainOutbound()
    let writer = try #require(kept.value)
    let error = try simulation.run {
      await #expect(throws: RPCError.self) { try await writer.write("late") }
    }
    #expect(error?.code == .cancelled)
    #expect(connection.drainOutbound().isEmpty)
  }

  // MARK: Fragments

  /// What still comes of a message whose call has ended is not kept, however much it is; nor are parts of calls that never
  /// were.
  @Test func partsOfCallsThatEndedAreNotKept() {
    probe.release.open()
    var hello: [UInt8] = []
    Hello().append(to: &hello)
    receive(Frame(streamID: .connection, type: .hello, payload: hello))
    let part = [UInt8](repeating: 1, count: 64 * 1024)
    func data(_ id: UInt32, _ flags: FrameFlags) -> Frame {
      Frame(streamID: StreamID(id), type: .data, flags: flags, payload: part)
    }
    for id in stride(from: 1 as UInt32, to: 101, by: 2) {
      receive(request(TestService.clientStreaming, id, [], flags: [.remoteOpen, .noData, .extended]), data(id, .more))
      #expect(connection.state.withLock { $0.assembler.heldByteCount } == part.count)
      receive(Frame(streamID: StreamID(id), type: .cancel))
      for _ in 0..<10 { receive(data(id, .more)) }
      receive(data(id, []))
      #expect(connection.state.withLock { $0.assembler.heldByteCount } == 0)
    }
    for _ in 0..<3 { receive(data(999, .more)) }
    #expect(connection.state.withLock { $0.assembler.heldByteCount } == 0)
    #expect(codes()[999] == .invalidArgument)
    receive(
      request(TestService.clientStreaming, 1001, [], flags: [.remoteOpen, .noData, .extended]), data(1001, .more))
    receive(data(1001, []), Frame(streamID: StreamID(1001), type: .data, flags: [.remoteClosed, .noData]))
    #expect(codes()[1001] == .ok, "the next call has its message whole")
  }

  // MARK: Slow peers

  /// A frame must be complete a minute after its first byte, whatever else is complete meanwhile on other connections; one
  /// that is waiting for us does not count.
  @Test func aFrameThatIsNeverComplete() {
    let bytes = request(TestService.unary, 1).bytes
    connection.receive(Array(bytes[..<3]))
    timer(after: .seconds(59))
    #expect(!connection.demand().closes)
    // A byte now and then does not help.
    connection.receive(Array(bytes[3..<4]))
    timer(after: .seconds(1))
    #expect(connection.demand().closes)
  }

  @Test func framesThatEndInTimeMayGoOn() {
    let bytes = request(TestService.unary, 1).bytes + request(TestService.unary, 3).bytes
    let cut = bytes.count / 2 + 4
    connection.receive(Array(bytes[..<cut]))
    timer(after: .seconds(50))
    connection.receive(Array(bytes[cut...]) + [0])
    timer(after: .seconds(50))
    #expect(!connection.demand().closes, "the second frame has ended, and a third begun in time")
    timer(after: .seconds(11))
    #expect(connection.demand().closes)
  }

  @Test func aConnectionBetweenFramesMayRest() {
    receive(request(TestService.unary, 1))
    timer(after: .seconds(3600))
    #expect(!connection.demand().closes)
  }

  @Test func aFrameThatIsNotReadIsNotLate() {
    for id in [1, 3, 5, 7] as [UInt32] { receive(request(TestService.clientStreaming, id, [])) }
    // A handler that is too far behind keeps the connection from reading; then it fails alone.
    let flood = Frame(streamID: StreamID(1), type: .data, payload: [UInt8](repeating: 1, count: 1 << 20))
    connection.receive(flood.bytes + flood.bytes + flood.bytes + Array(flood.bytes.prefix(100)))
    #expect(!connection.demand().reads)
    timer(after: .seconds(9))
    #expect(!connection.demand().closes)
  }
}
