import Testing
import TimeAndChance

@testable import RPC
@testable import RPCTestSupport

/// Frames come out whole and in order however the stream is cut: at every point, byte by byte, at random points. Frames
/// above the limit are reported and skipped. Garbage neither crashes nor makes memory grow beyond what has arrived.
@Suite struct FrameDecoderTests {
  private static let frames = [
    Frame(streamID: StreamID(1), type: .request, flags: [], payload: Array(0...40)),
    Frame(streamID: StreamID(3), type: .data, flags: [.remoteClosed, .noData]),
    Frame(
      streamID: StreamID(0xFFFF_FFFF), type: FrameType(rawValue: 0xFF), flags: FrameFlags(rawValue: 0xFF), payload: [9]),
    Frame(streamID: StreamID(5), type: .response, payload: [UInt8](repeating: 7, count: 64)),
    Frame(streamID: StreamID(0), type: .data),
  ]

  private func decode(_ chunks: some Sequence<ArraySlice<UInt8>>, limit: Int = 64) -> [FrameDecoder.Event] {
    var decoder = FrameDecoder(maximumPayload: limit)
    var events: [FrameDecoder.Event] = []
    for chunk in chunks { events += decoder.decode(chunk) }
    #expect(decoder.isAtBoundary)
    #expect(decoder.heldByteCount == 0)
    return events
  }

  @Test func headerLayout() {
    let frame = Frame(
      streamID: StreamID(0x0102_0304), type: .data, flags: [.remoteOpen, .noData], payload: [0xAA, 0xBB])
    #expect(frame.bytes == [0, 0, 0, 2, 1, 2, 3, 4, 3, 6, 0xAA, 0xBB])
  }

  @Test func everySplitPoint() {
    let stream = Self.frames.flatMap(\.bytes)
    let expected = Self.frames.map { FrameDecoder.Event.frame($0) }
    for split in 0...stream.count {
      #expect(decode([stream[..<split], stream[split...]]) == expected, "split at \(split)")
    }
  }

  @Test func byteByByte() {
    let stream = Self.frames.flatMap(\.bytes)
    #expect(decode(stream.indices.map { stream[$0...$0] }) == Self.frames.map { .frame($0) })
  }

  @Test(arguments: 0..<50 as Range<UInt64>) func randomChunks(seed: UInt64) {
    let random = SeededRandom(seed: seed)
    let frames = (0..<30).map { index in
      Frame(
        streamID: StreamID(UInt32(2 * index + 1)), type: .data, flags: [],
        payload: (0..<random.next(below: 400)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }
    let stream = frames.flatMap(\.bytes)
    var chunks: [ArraySlice<UInt8>] = []
    var rest = stream[...]
    while !rest.isEmpty {
      let count = min(rest.count, 1 + random.next(below: 300))
      chunks.append(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    #expect(decode(chunks, limit: 400) == frames.map { .frame($0) })
  }

  @Test func theLimitIsTaken() {
    let frame = Frame(streamID: StreamID(1), type: .data, payload: [UInt8](repeating: 1, count: 64))
    #expect(decode([frame.bytes[...]], limit: 64) == [.frame(frame)])
    #expect(decode([frame.bytes[...]], limit: 63) == [.oversize(frame.header)])
  }

  /// What follows an oversize frame is decoded, wherever the stream is cut.
  @Test func oversizeIsReportedOnceAndSkipped() {
    let large = Frame(
      streamID: StreamID(3), type: .request, flags: .remoteOpen, payload: [UInt8](repeating: 1, count: 100))
    let stream = Self.frames[0].bytes + large.bytes + Self.frames[1].bytes
    let expected: [FrameDecoder.Event] = [.frame(Self.frames[0]), .oversize(large.header), .frame(Self.frames[1])]
    for split in 0...stream.count {
      #expect(decode([stream[..<split], stream[split...]]) == expected, "split at \(split)")
    }
  }

  @Test func theLargestLengthCostsNothing() {
    var decoder = FrameDecoder(maximumPayload: 64)
    let header = FrameHeader(length: .max, streamID: StreamID(1), type: .data, flags: [])
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    let events = decoder.decode(bytes[...])
    #expect(events == [.oversize(header)])
    let filler = [UInt8](repeating: 0, count: 1 << 20)
    for _ in 0..<100 {
      let none = decoder.decode(filler[...])
      #expect(none.isEmpty)
    }
    #expect(decoder.heldByteCount == 0)
    #expect(!decoder.isAtBoundary)
  }

  @Test func onlyWholeFramesEndAtABoundary() {
    let stream = Self.frames[0].bytes + Self.frames[1].bytes
    let boundaries = [0, Self.frames[0].bytes.count, stream.count]
    for end in 0...stream.count {
      var decoder = FrameDecoder(maximumPayload: 64)
      _ = decoder.decode(stream[..<end])
      #expect(decoder.isAtBoundary == boundaries.contains(end), "end at \(end)")
    }
  }

  /// Every event of random bytes is bounded by the limit, and what is held never exceeds the limit or what arrived.
  @Test(arguments: 0..<200 as Range<UInt64>) func garbage(seed: UInt64) {
    let random = SeededRandom(seed: seed)
    let limit = 1 + random.next(below: 5000)
    var decoder = FrameDecoder(maximumPayload: limit)
    var arrived = 0
    var delivered = 0
    for _ in 0..<200 {
      let small = random.next(below: 2) == 0
      // Half of the chunks look like short frames, so that not everything is skipped as oversize.
      let chunk: [UInt8] = (0..<random.next(below: 200)).map { index in
        small && index % 10 < 3 ? 0 : UInt8(truncatingIfNeeded: random.next())
      }
      arrived += chunk.count
      for event in decoder.decode(chunk[...]) {
        switch event {
        case .frame(let frame):
          #expect(frame.payload.count <= limit)
          delivered += frame.payload.count + FrameHeader.byteCount
        case .oversize(let header): #expect(Int(header.length) > limit)
        }
      }
      #expect(decoder.heldByteCount <= max(limit, FrameHeader.byteCount))
      #expect(delivered + decoder.heldByteCount <= arrived)
    }
  }
}

extension FrameDecoder {
  fileprivate mutating func decode(_ bytes: ArraySlice<UInt8>) -> [Event] { decode(bytes.span.bytes) }
}
