@testable import RPC

/// However the bytes are cut, the same frames come; they encode to the bytes they came from; and what is held is bounded.
func fuzzFrames(_ bytes: [UInt8]) {
  let limit = 300
  var input = Input(bytes)
  let size = Int(input.byte()) + 1
  let stream = input.all()
  var whole = FrameDecoder(maximumPayload: limit)
  let expected = whole.decode(stream.span.bytes)

  var cut = FrameDecoder(maximumPayload: limit)
  var events: [FrameDecoder.Event] = []
  for start in stride(from: 0, to: stream.count, by: size) {
    let piece = Array(stream[start..<min(start + size, stream.count)])
    events += cut.decode(piece.span.bytes)
    require(cut.heldByteCount <= limit, "\(cut.heldByteCount) bytes are held")
  }
  require(events == expected, "cut into pieces of \(size) bytes it gives \(events.count) events")
  require(cut.isAtBoundary == whole.isAtBoundary)

  var encoded: [UInt8] = []
  for event in expected {
    guard case .frame(let frame) = event else { return }
    encoded += frame.wire
  }
  require(stream.starts(with: encoded), "the frames do not encode to what they came from")
}
