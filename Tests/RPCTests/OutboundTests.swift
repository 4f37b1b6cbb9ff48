import RPCTestSupport
import Testing

@testable import RPC

/// Requests and messages wait in order once too much is to be written, frames that end a call do not; what waits for a call
/// that has ended is dropped; idle connections keep no large buffers.
@Suite struct OutboundTests {
  private let clock = ManualClock()

  private func take(_ outbound: inout Outbound) -> [Frame] {
    var buffer: [UInt8] = []
    var deferred = Deferred()
    outbound.take(&buffer, clock: clock, &deferred)
    deferred.perform()
    var decoder = FrameDecoder(maximumPayload: .max)
    return decoder.decode(buffer.span.bytes).compactMap { event in
      if case .frame(let frame) = event { return frame }
      return nil
    }
  }

  private func request(_ payload: Int, _ id: UInt32, _ outbound: inout Outbound, deadline: Duration? = nil) {
    let envelope = RequestEnvelope(payload: [UInt8](repeating: 1, count: payload)[...], timeoutNanoseconds: 77)
    var deferred = Deferred()
    outbound.appendRequest(
      envelope, [], deadline: deadline.map { clock.now.advanced(by: $0) }, id: StreamID(id), clock: clock, &deferred)
  }

  private static let full = [UInt8](repeating: 0, count: Outbound.highWater)

  @Test func belowTheMarkNothingWaits() {
    var outbound = Outbound()
    #expect(!outbound.hasBytes && !outbound.isFull)
    var written = 0
    while outbound.appendMessage([UInt8](repeating: 0, count: 1000), id: StreamID(1)) { written += 1 }
    // The mark is passed by at most one message.
    #expect(written == (Outbound.highWater + 1009) / 1010)
    #expect(outbound.hasBytes && outbound.isFull)
    #expect(take(&outbound).count == written)
    #expect(!outbound.hasBytes && !outbound.isFull)
  }

  @Test func whatWaitsKeepsItsOrder() async {
    let outbound = Watched(Outbound())
    outbound.update { $0.appendMessage(Self.full, id: StreamID(1)) }
    async let first = write([1], 1, outbound)
    await outbound.wait { $0.waiting.count == 1 }
    outbound.update { request(10, 3, &$0, deadline: .seconds(1)) }
    async let second = write([2], 1, outbound)
    await outbound.wait { $0.waiting.count == 3 }
    outbound.update { $0.appendEnd(id: StreamID(1)) }
    outbound.update { $0.appendEnd(id: StreamID(5)) }
    outbound.update { $0.appendCancel(id: StreamID(7)) }
    clock.advance(by: .milliseconds(400))
    // The end of another call and the cancel need not wait.
    let taken = outbound.update { take(&$0) }
    #expect(taken.map(\.streamID.rawValue) == [1, 5, 7])
    let rest = outbound.update { take(&$0) }
    #expect(rest.map(\.type) == [.data, .request, .data, .data])
    #expect(rest.map(\.streamID.rawValue) == [1, 3, 1, 1])
    #expect(rest.last?.flags == [.remoteClosed, .noData])
    // A request that waited travels with the timeout that is left.
    let envelope = try? RequestEnvelope(parsing: rest[1].payload[...], metadataLimit: 0)
    #expect(envelope?.timeoutNanoseconds == 600_000_000)
    #expect(await [first, second] == [.written, .written])
  }

  @Test func endedCallsLeaveTheQueue() async {
    let outbound = Watched(Outbound())
    outbound.update { $0.appendMessage(Self.full, id: StreamID(1)) }
    async let dropped = write([1], 1, outbound)
    await outbound.wait { $0.waiting.count == 1 }
    outbound.update { request(10, 3, &$0) }
    async let kept = write([2], 5, outbound)
    await outbound.wait { $0.waiting.count == 3 }
    #expect(drop(1, outbound) == false, "the request of call 1 has been written")
    #expect(drop(3, outbound) == true, "the request of call 3 has not")
    #expect(drop(9, outbound) == false)
    _ = outbound.update { take(&$0) }
    #expect(outbound.update { take(&$0) }.map(\.streamID.rawValue) == [5])
    #expect(await [dropped, kept] == [.refused, .written])
  }

  @Test func aWaitCanBeCancelledOrCutShort() async {
    let outbound = Watched(Outbound())
    outbound.update { $0.appendMessage(Self.full, id: StreamID(1)) }
    async let cancelled = write([1], 1, outbound)
    let ticket = await outbound.wait { $0.waiting.count == 1 }.waiting.map(\.frame.ticket).first ?? 0
    async let closed = write([2], 1, outbound)
    await outbound.wait { $0.waiting.count == 2 }
    let deferred = outbound.update { outbound in
      var deferred = Deferred()
      outbound.cancelWait(StreamID(1), ticket: ticket, &deferred)
      outbound.cancelWait(StreamID(1), ticket: 99, &deferred)
      outbound.close(&deferred)
      return deferred
    }
    deferred.perform()
    #expect(await [cancelled, closed] == [.cancelled, .refused])
    #expect(outbound.update { take(&$0) }.isEmpty)
  }

  @Test func idleConnectionsKeepNoLargeBuffer() {
    var outbound = Outbound()
    _ = outbound.appendMessage(Self.full, id: StreamID(1))
    var buffer: [UInt8] = []
    buffer.reserveCapacity(100_000)
    var deferred = Deferred()
    outbound.take(&buffer, clock: clock, &deferred)
    #expect(buffer.count > Outbound.highWater)
    buffer = []
    outbound.take(&buffer, clock: clock, &deferred)
    #expect(buffer.isEmpty)
    outbound.tidy()
    _ = outbound.appendMessage([1], id: StreamID(1))
    outbound.take(&buffer, clock: clock, &deferred)
    #expect(buffer.count == 11 && buffer.capacity <= Outbound.idleCapacity)
  }

  private func write(_ message: [UInt8], _ id: UInt32, _ outbound: Watched<Outbound>) async -> WriteOutcome {
    await withCheckedContinuation { writer in
      let deferred = outbound.update { outbound in
        var deferred = Deferred()
        _ = outbound.wait(message, id: StreamID(id), writer, clock: clock, &deferred)
        return deferred
      }
      deferred.perform()
    }
  }

  private func drop(_ id: UInt32, _ outbound: Watched<Outbound>) -> Bool {
    let (droppedRequest, deferred) = outbound.update { outbound in
      var deferred = Deferred()
      return (outbound.drop(StreamID(id), &deferred), deferred)
    }
    deferred.perform()
    return droppedRequest
  }
}
