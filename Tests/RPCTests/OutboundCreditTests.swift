import RPCTestSupport
import Testing

@testable import RPC

/// Towards a peer that counts credit, messages wait for it; large ones take turns in fragments; calls that the peer does not
/// take yet are held back.
@Suite struct OutboundCreditTests {
  private let clock = ManualClock()
  private let outbound = Watched(Outbound.cautious)

  private func change(_ body: (inout Outbound, inout Deferred) -> Void) {
    let deferred = outbound.update { outbound in
      var deferred = Deferred()
      body(&outbound, &deferred)
      return deferred
    }
    deferred.perform()
  }

  private func greet(_ hello: Hello?) { change { $0.learn(hello, clock: clock, &$1) } }

  private func takeFrames() -> [Frame] {
    var frames: [Frame] = []
    var decoder = FrameDecoder(maximumPayload: .max)
    while true {
      var buffer: [UInt8] = []
      change { $0.take(&buffer, clock: clock, &$1) }
      if buffer.isEmpty { return frames }
      for case .frame(let frame) in decoder.decode(buffer.span.bytes) { frames.append(frame) }
    }
  }

  private func open(_ id: UInt32, isHeld: Bool = false) {
    change {
      $0.appendRequest(
        RequestEnvelope(), .extended, deadline: nil, id: StreamID(id), countsData: true, isHeld: isHeld, clock: clock,
        &$1)
    }
  }

  private func append(_ message: [UInt8], _ id: UInt32) -> Bool {
    outbound.update { $0.appendMessage(message, id: StreamID(id)) }
  }

  private func wait(_ message: [UInt8], _ id: UInt32) async -> WriteOutcome {
    await withCheckedContinuation { writer in
      change { _ = $0.wait(message, id: StreamID(id), writer, clock: clock, &$1) }
    }
  }

  private func credit(_ count: Int, _ id: StreamID) { change { $0.addCredit(count, to: id, clock: clock, &$1) } }

  private static func hello(stream: Int = 1 << 20, connection: Int = 1 << 20) -> Hello {
    Hello(streamWindow: stream, connectionWindow: connection, maximumCalls: 100)
  }

  private static let kilobytes60 = [UInt8](repeating: 6, count: 60 * 1024)

  /// Before the peer has said anything, a stream sends 64 KiB and the message with which it passes them.
  @Test func theCautiousBeginning() async {
    open(1)
    open(3)
    #expect(append(Self.kilobytes60, 1) && append(Self.kilobytes60, 1))
    #expect(!append([1], 1), "the stream has no credit")
    #expect(!append([1], 3), "the connection has none either")
    async let first = wait([1], 1)
    async let second = wait([2], 3)
    await outbound.wait { $0.waiting.count == 2 }
    #expect(takeFrames().map(\.type) == [.request, .request, .data, .data])
    greet(Self.hello(stream: 200_000))
    #expect(await [first, second] == [.written, .written])
    #expect(takeFrames().map(\.streamID.rawValue) == [3, 1])
  }

  /// A peer that turns out to be plain counts nothing.
  @Test func aPlainPeerIsSentEverything() async {
    open(1)
    #expect(append(Self.kilobytes60, 1) && append(Self.kilobytes60, 1))
    async let waiting = wait([1], 1)
    await outbound.wait { $0.waiting.count == 1 }
    greet(nil)
    #expect(await waiting == .written)
    for _ in 0..<4 {
      #expect(append([UInt8](repeating: 0, count: 1 << 20), 1))
      _ = takeFrames()
    }
    // It was plain only as far as was known: what it was sent is on its account.
    greet(Self.hello(stream: 1 << 20, connection: 1 << 24))
    #expect(!append([1], 1))
  }

  @Test func aStreamWaitsForItsOwnCredit() async {
    greet(Self.hello(stream: 100))
    open(1)
    open(3)
    #expect(append([UInt8](repeating: 0, count: 90), 1) && !append([1], 1))
    #expect(append([1], 3), "the other stream has credit")
    async let waiting = wait([1], 1)
    await outbound.wait { $0.waiting.count == 1 }
    #expect(takeFrames().count == 4)
    credit(1, StreamID(1))
    #expect(await waiting == .written)
    #expect(takeFrames().map(\.payload) == [[1]])
  }

  @Test func allStreamsWaitForCreditOfTheConnection() async {
    greet(Self.hello(connection: 100))
    open(1)
    open(3)
    #expect(append([UInt8](repeating: 0, count: 95), 1))
    async let first = wait([1], 1)
    await outbound.wait { $0.waiting.count == 1 }
    async let second = wait([3], 3)
    await outbound.wait { $0.waiting.count == 2 }
    _ = takeFrames()
    credit(5, .connection)
    #expect(takeFrames().isEmpty, "the account is still at zero")
    credit(1, .connection)
    #expect(await first == .written)
    credit(20, .connection)
    #expect(await second == .written)
    #expect(takeFrames().map(\.streamID.rawValue) == [1, 3])
  }

  /// A large message goes in fragments, and small ones of other streams between them.
  @Test func largeMessagesTakeTurns() async {
    greet(Self.hello(connection: 1 << 30))
    open(1)
    open(3)
    _ = takeFrames()
    let large = [UInt8](repeating: 7, count: 5 * Outbound.fragmentBytes + 1)
    #expect(!append(large, 1))
    async let first = wait(large, 1)
    await outbound.wait { $0.hasBytes }
    async let second = wait([3], 3)
    await outbound.wait { $0.waiting.count == 1 }
    let frames = takeFrames()
    #expect(await [first, second] == [.written, .written])
    let ofLarge = frames.filter { $0.streamID == StreamID(1) }
    #expect(ofLarge.map(\.payload.count) == [Int](repeating: Outbound.fragmentBytes, count: 5) + [1])
    #expect(ofLarge.map { $0.flags.contains(.more) } == [true, true, true, true, true, false])
    let small = frames.firstIndex { $0.streamID == StreamID(3) }
    #expect(small.map { $0 < frames.count - 1 } == true, "the small message did not wait for all of the large one")
  }

  /// A large request and a large response go in fragments, too.
  @Test func envelopesInFragments() throws {
    greet(Self.hello())
    let payload = [UInt8](repeating: 5, count: 150_000)
    change {
      $0.appendRequest(
        RequestEnvelope(name: MethodName(service: "s", method: "m"), payload: payload[...]), .extended, deadline: nil,
        id: StreamID(1), clock: clock, &$1)
      $0.appendResponse(ResponseEnvelope(payload: payload[...]), id: StreamID(3), clock: clock, &$1)
    }
    var assembler = FragmentAssembler(maximumMessage: 200_000)
    let whole = takeFrames().compactMap { frame -> Frame? in
      if case .frame(let frame)? = assembler.take(frame) { return frame }
      return nil
    }
    #expect(whole.map(\.type) == [.request, .response] && whole[0].flags == .extended)
    #expect(try RequestEnvelope(parsing: whole[0].payload[...], metadataLimit: 0).payload == payload[...])
    #expect(try ResponseEnvelope(parsing: whole[1].payload[...], metadataLimit: 0).payload == payload[...])
  }

  /// Responses that wait keep the server from reading more requests, like those that are written.
  @Test func largeResponsesCount() {
    greet(Self.hello())
    let payload = [UInt8](repeating: 5, count: Outbound.highWater)
    for id in [1, 3] as [UInt32] {
      change { $0.appendResponse(ResponseEnvelope(payload: payload[...]), id: StreamID(id), clock: clock, &$1) }
    }
    #expect(outbound.value.tooManyResponses)
    _ = takeFrames()
    #expect(!outbound.value.tooManyResponses)
  }

  @Test func callsAreHeldBackInOrder() {
    greet(Self.hello())
    for id in [1, 3, 5, 7] as [UInt32] { open(id, isHeld: true) }
    #expect(takeFrames().isEmpty && outbound.value.heldCount == 4)
    change { $0.admit(2, clock: clock, &$1) }
    #expect(takeFrames().map(\.streamID.rawValue) == [1, 3])
    var wasHeld = false
    change { wasHeld = $0.drop(StreamID(5), &$1) }
    #expect(wasHeld, "the peer has never heard of the call")
    change { $0.admit(5, clock: clock, &$1) }
    #expect(takeFrames().map(\.streamID.rawValue) == [7] && outbound.value.heldCount == 0)
  }

  /// The end of a stream, and what comes before it, keep their place behind messages that wait.
  @Test func theEndComesLast() async {
    greet(Self.hello(stream: 1))
    change { outbound, _ in outbound.openLane(StreamID(1)) }
    change { outbound, _ in outbound.appendHeaders(["a": "b"], id: StreamID(1)) }
    #expect(append([1], 1))
    async let waiting = wait([2], 1)
    await outbound.wait { $0.waiting.count == 1 }
    change { outbound, _ in outbound.appendEnd(StreamEnd(trailers: ["c": "d"]), id: StreamID(1)) }
    #expect(takeFrames().map(\.type) == [.headers, .data])
    credit(100, StreamID(1))
    #expect(await waiting == .written)
    #expect(takeFrames().map(\.type) == [.data, .end])
  }

  @Test func aCallThatEndsLeavesNothing() async {
    greet(Self.hello(stream: 1))
    open(1)
    #expect(append([1], 1))
    async let waiting = wait([2], 1)
    await outbound.wait { $0.waiting.count == 1 }
    change { _ = $0.drop(StreamID(1), &$1) }
    #expect(await waiting == .refused)
    _ = takeFrames()
    credit(100, StreamID(1))
    #expect(takeFrames().isEmpty)
  }
}
