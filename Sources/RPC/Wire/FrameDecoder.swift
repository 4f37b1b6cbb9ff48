/// Cuts a byte stream into frames: a pure value, fed with whatever arrived.
///
/// Memory is bounded by one payload of the maximum size, and follows what has arrived: a peer that announces 4 MiB and
/// sends nothing costs nothing. A frame above the limit is reported once, when its header is there, and its payload is
/// skipped as it arrives.
struct FrameDecoder: Sendable {
  enum Event: Hashable, Sendable {
    case frame(Frame)
    /// A frame whose payload is above the limit.
    case oversize(FrameHeader)
  }

  private enum Phase {
    case header
    case payload(Frame, missing: Int)
    case skipping(Int)
  }

  /// The largest payload delivered, in bytes.
  let maximumPayload: Int
  private var phase: Phase = .header
  /// The first bytes of a header whose rest has not arrived.
  private var partialHeader: [UInt8] = []

  init(maximumPayload: Int) { self.maximumPayload = maximumPayload }

  /// Whether the stream stands between two frames, so that its end loses nothing.
  var isAtBoundary: Bool {
    if case .header = phase { return partialHeader.isEmpty }
    return false
  }

  /// The bytes held for a frame that is not complete.
  var heldByteCount: Int {
    if case .payload(let frame, _) = phase { return frame.payload.count }
    return partialHeader.count
  }

  /// All that `input`, the next bytes of the stream, completes.
  mutating func decode(_ input: RawSpan) -> [Event] {
    var rest = input
    var events: [Event] = []
    while let event = next(&rest) { events.append(event) }
    return events
  }

  private mutating func next(_ rest: inout RawSpan) -> Event? {
    while true {
      switch phase {
      case .header:
        guard let header = takeHeader(&rest) else { return nil }
        let length = Int(header.length)
        guard length <= maximumPayload else {
          phase = .skipping(length)
          return .oversize(header)
        }
        phase = .payload(Frame(header), missing: length)

      case .payload(var frame, let missing):
        // The phase lets go of the payload, which is then appended to in place.
        phase = .header
        // Room for all of it once a quarter is there, which bounds what a mere announcement costs.
        if frame.payload.isEmpty, rest.byteCount >= missing / 4 { frame.payload.reserveCapacity(missing) }
        let count = min(missing, rest.byteCount)
        frame.payload.append(rest.extracting(first: count))
        rest = rest.extracting(droppingFirst: count)
        if count == missing { return .frame(frame) }
        phase = .payload(frame, missing: missing - count)
        return nil

      case .skipping(let missing):
        let count = min(missing, rest.byteCount)
        rest = rest.extracting(droppingFirst: count)
        guard count == missing else {
          phase = .skipping(missing - count)
          return nil
        }
        phase = .header
      }
    }
  }

  /// The next whole header; keeps a partial one for later.
  private mutating func takeHeader(_ rest: inout RawSpan) -> FrameHeader? {
    if partialHeader.isEmpty, rest.byteCount >= FrameHeader.byteCount {
      let header = FrameHeader(parsing: rest)
      rest = rest.extracting(droppingFirst: FrameHeader.byteCount)
      return header
    }
    let count = min(FrameHeader.byteCount - partialHeader.count, rest.byteCount)
    partialHeader.append(rest.extracting(first: count))
    rest = rest.extracting(droppingFirst: count)
    guard partialHeader.count == FrameHeader.byteCount else { return nil }
    defer { partialHeader.removeAll(keepingCapacity: true) }
    return FrameHeader(parsing: partialHeader.span.bytes)
  }
}

extension FrameHeader {
  /// Reads the first ten bytes of `bytes`.
  init(parsing bytes: RawSpan) {
    precondition(bytes.byteCount >= FrameHeader.byteCount, "a frame header has ten bytes, got \(bytes.byteCount)")
    // The loads are within the ten bytes, and every bit pattern is a valid integer.
    length = UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self))
    streamID = StreamID(UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    type = FrameType(rawValue: bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt8.self))
    flags = FrameFlags(rawValue: bytes.unsafeLoadUnaligned(fromByteOffset: 9, as: UInt8.self))
  }

  /// Appends the ten bytes.
  func append(to bytes: inout [UInt8]) {
    withUnsafeBytes(of: length.bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: streamID.rawValue.bigEndian) { bytes.append(contentsOf: $0) }
    bytes.append(type.rawValue)
    bytes.append(flags.rawValue)
  }
}

extension Frame {
  fileprivate init(_ header: FrameHeader) {
    self.init(streamID: header.streamID, type: header.type, flags: header.flags)
  }
}

extension [UInt8] {
  /// Appends the bytes of a span in one copy.
  fileprivate mutating func append(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { append(contentsOf: $0) }
  }
}
