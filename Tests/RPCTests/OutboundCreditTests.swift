import RPCTestSupport
import Testing
import TimeAndChance

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

  // MARK: What the peer holds

  /// Messages in fragments are begun as far as the peer holds them: whatever their sizes, and whoever gives up in between,
  /// what has come of those that are not complete is no larger than the largest message, and in the end all are sent.
  @Test(arguments: 0..<20 as Range<UInt64>) func thePeerHoldsWhatIsBegun(seed: UInt64) {
    let random = SeededRandom(seed: seed)
    var hello = Self.hello(stream: 1 << 30, connection: 1 << 30)
    hello.maximumMessage = 1 << 20
    greet(hello)
    var sizes: [StreamID: Int] = [:]
    var held: [StreamID: Int] = [:]
    var received: [StreamID: Int] = [:]
    var dropped: Set<StreamID> = []
    var decoder = FrameDecoder(maximumPayload: .max)
    /// Takes what is written now, as the peer sees it.
    func transmit() -> Bool {
      var buffer: [UInt8] = []
      change { $0.take(&buffer, clock: clock, &$1) }
      for case .frame(let frame) in decoder.decode(buffer.span.bytes) {
        let id = frame.streamID
        // The frame that ends a call makes the peer forget what came of it, and what still comes.
        if dropped.contains(id) { continue }
        if frame.flags.contains(.more) {
          held[id, default: 0] += frame.payload.count
          if held.count > 1 { #expect(held.values.reduce(0, +) <= hello.maximumMessage) }
        } else {
          received[id] = (held.removeValue(forKey: id) ?? 0) + frame.payload.count
        }
      }
      return !buffer.isEmpty
    }
    for step in 0..<120 {
      let id = StreamID(UInt32(2 * step + 1))
      // Some are small, some above what is held of all together.
      let size = random.next(below: 8) == 0 ? random.next(below: 1 << 16) : random.next(below: 3 << 19)
      sizes[id] = size
      let payload = [UInt8](repeating: 1, count: size)
      if random.next(below: 2) == 0 {
        change {
          $0.appendResponse(ResponseEnvelope(payload: payload[...]), id: id, clock: clock, &$1)
        }
      } else {
        let envelope = RequestEnvelope(payload: payload[...])
        change { $0.appendRequest(envelope, .extended, deadline: nil, id: id, clock: clock, &$1) }
      }
      if random.next(below: 3) == 0 { _ = transmit() }
      if random.next(below: 6) == 0 {
        let victim = StreamID(UInt32(2 * random.next(below: step + 1) + 1))
        change { _ = $0.drop(victim, &$1) }
        dropped.insert(victim)
        held[victim] = nil
      }
    }
    while transmit() {}
    #expect(held.isEmpty)
    for (id, size) in sizes where !dropped.contains(id) { #expect((received[id] ?? -1) >= size, "\(id)") }
  }

  /// A writer that gives up while its message waits for others makes way for those behind it.
  @Test func whoGivesUpMakesWay() async {
    var hello = Self.hello(stream: 1 << 30, connection: 1 << 30)
    hello.maximumMessage = 300 * 1024
    greet(hello)
    let large = [UInt8](repeating: 7, count: 200 * 1024)
    for id in [1, 3, 5] as [UInt32] { open(id) }
    _ = takeFrames()
    // Fills the buffer, so that nothing is sent before all three wait.
    let payload = [UInt8](repeating: 5, count: Outbound.fragmentBytes)
    for _ in 0..<5 {
      change { $0.appendResponse(ResponseEnvelope(payload: payload[...100]), id: StreamID(101), clock: clock, &$1) }
    }
    change {
      $0.appendResponse(
        ResponseEnvelope(payload: [UInt8](repeating: 5, count: 290 * 1024)[...]), id: StreamID(103), clock: clock, &$1)
    }
    async let first = wait(large, 1)
    await outbound.wait { $0.waiting.count == 1 }
    async let second = wait(large, 3)
    await outbound.wait { $0.waiting.count == 2 }
    async let third = wait(large, 5)
    await outbound.wait { $0.waiting.count == 3 }
    let tickets = outbound.value.waiting.map(\.frame.ticket)
    change { $0.cancelWait(StreamID(1), ticket: tickets[0], &$1) }
    #expect(await first == .cancelled)
    change { $0.cancelWait(StreamID(3), ticket: tickets[1], &$1) }
    #expect(await second == .cancelled)
    let frames = takeFrames()
    #expect(await third == .written)
    #expect(frames.filter { $0.streamID == StreamID(5) }.map(\.payload.count).reduce(0, +) == large.count)
  }
}
