import Testing

@testable import RPC

/// Messages in fragments: put together whole, whatever comes between; bounded for a stream and for all; skipped when they
/// are too large; dropped when their call has ended.
@Suite struct FragmentAssemblerTests {
  private func fragment(
    _ id: UInt32, _ payload: [UInt8], _ type: FrameType = .data, last: Bool = false, flags: FrameFlags = []
  ) -> Frame {
    Frame(streamID: StreamID(id), type: type, flags: last ? flags : flags.union(.more), payload: payload)
  }

  @Test func fragmentsOfSeveralStreamsMayAlternate() {
    var assembler = FragmentAssembler(maximumMessage: 100)
    #expect(assembler.take(fragment(1, [1])) == nil)
    #expect(assembler.take(fragment(3, [9], .request)) == nil)
    #expect(assembler.take(fragment(5, [7], last: true)) == .frame(fragment(5, [7], last: true)))
    #expect(assembler.take(fragment(1, [2])) == nil)
    #expect(assembler.heldByteCount == 3)
    let request = fragment(3, [9, 8], .request, last: true, flags: .remoteOpen)
    #expect(assembler.take(fragment(3, [8], .request, last: true, flags: .remoteOpen)) == .frame(request))
    #expect(assembler.take(fragment(1, [3], last: true)) == .frame(fragment(1, [1, 2, 3], last: true)))
    #expect(assembler.heldByteCount == 0)
  }

  @Test func aMessageAboveTheLimitIsReportedOnceAndSkipped() {
    var assembler = FragmentAssembler(maximumMessage: 3)
    #expect(assembler.take(fragment(1, [1, 2])) == nil)
    guard case .oversize(let header)? = assembler.take(fragment(1, [3, 4])) else {
      Issue.record("not reported")
      return
    }
    #expect(header.length == 4 && header.streamID == StreamID(1) && header.type == .data)
    #expect(assembler.heldByteCount == 0)
    #expect(assembler.take(fragment(1, [5])) == nil)
    #expect(assembler.take(fragment(1, [6], last: true)) == nil)
    // The next message of the stream is another matter.
    #expect(assembler.take(fragment(1, [7], last: true)) == .frame(fragment(1, [7], last: true)))
  }

  @Test func theLastFragmentMayBeTheOneTooMany() {
    var assembler = FragmentAssembler(maximumMessage: 3)
    #expect(assembler.take(fragment(1, [1, 2, 3])) == nil)
    guard case .oversize? = assembler.take(fragment(1, [4], last: true)) else {
      Issue.record("not reported")
      return
    }
    #expect(assembler.take(fragment(1, [7], last: true)) == .frame(fragment(1, [7], last: true)))
  }

  /// Many calls that begin and never end hold no more than two messages of full size together.
  @Test func allStreamsTogetherAreBounded() {
    var assembler = FragmentAssembler(maximumMessage: 10)
    var refused = 0
    for id in stride(from: 1 as UInt32, to: 2001, by: 2) {
      if case .oversize? = assembler.take(fragment(id, [1, 2, 3, 4], .request)) { refused += 1 }
      #expect(assembler.heldByteCount <= 20)
    }
    #expect(refused == 995)
  }

  @Test func aCallThatEndsBreaksItsMessageOff() {
    var assembler = FragmentAssembler(maximumMessage: 100)
    for end in [FrameType.cancel, .response, .end] {
      #expect(assembler.take(fragment(1, [1])) == nil)
      let frame = Frame(streamID: StreamID(1), type: end)
      #expect(assembler.take(frame) == .frame(frame))
      #expect(assembler.heldByteCount == 0)
    }
    #expect(assembler.take(fragment(1, [1])) == nil)
    assembler.drop(StreamID(1))
    #expect(assembler.heldByteCount == 0)
    #expect(assembler.take(fragment(1, [2], last: true)) == .frame(fragment(1, [2], last: true)))
  }

  /// MORE means nothing on frames that carry no message.
  @Test func otherFramesPass() {
    var assembler = FragmentAssembler(maximumMessage: 1)
    let headers = fragment(1, [1, 2, 3], .headers)
    #expect(assembler.take(headers) == .frame(headers))
  }
}

/// A window opens again, half at a time, as what was sent is taken.
@Suite struct InflowTests {
  @Test func creditComesBackByHalves() {
    var inflow = Inflow(window: 100)
    let isAllowed = inflow.receive(60)
    #expect(isAllowed)
    let grants = [inflow.take(49), inflow.take(1), inflow.take(10)]
    #expect(grants == [nil, 50, nil])
  }

  /// A message may be begun with any credit left, however large it is; with none left it may not.
  @Test func oneMessageMayGoBelowZero() {
    var inflow = Inflow(window: 10)
    let allowed = [inflow.receive(1000), inflow.receive(1)]
    #expect(allowed == [true, false])
  }

  /// Whoever keeps to the rules is never stuck: when all that was sent is taken, there is credit.
  @Test(arguments: 1...40) func thereIsAlwaysCreditWhenAllIsTaken(window: Int) {
    var inflow = Inflow(window: window)
    var credit = window
    for size in 1...200 {
      let cost = 1 + size * 7 % 23
      #expect(credit > 0)
      let isAllowed = inflow.receive(cost)
      #expect(isAllowed)
      credit -= cost
      if let grant = inflow.take(cost) { credit += grant }
    }
  }
}
