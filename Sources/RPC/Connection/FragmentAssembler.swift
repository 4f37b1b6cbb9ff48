/// Puts frames together that a peer has sent in fragments: all but the last carry MORE, and the flags of the last count.
///
/// Memory is bounded by the largest message for a stream, and by `maximumHeld` and `maximumPartials` for all. A message above
/// these is reported as a frame above the limit is, and its other fragments are skipped.
struct FragmentAssembler: Sendable {
  private struct Partial {
    let type: FrameType
    var payload: [UInt8]
    /// Whether it was reported, and what follows of it is not wanted.
    var isSkipped = false
  }

  /// The most messages that are not complete.
  static let maximumPartials = 2048

  /// The largest message, in bytes.
  let maximumMessage: Int
  /// The most bytes of all messages that are not complete.
  private let maximumHeld: Int
  private var partials: [StreamID: Partial] = [:]
  /// The bytes of the messages that are not complete.
  private(set) var heldByteCount = 0

  init(maximumMessage: Int) {
    self.maximumMessage = maximumMessage
    // One of full size and as much of others.
    maximumHeld = 2 * maximumMessage
  }

  /// The whole frame that `frame` completes; nil if it does not, or belongs to what is skipped.
  mutating func take(_ frame: Frame) -> FrameDecoder.Event? {
    let id = frame.streamID
    let isLast = !frame.flags.contains(.more)
    if isLast && partials.isEmpty { return .frame(frame) }
    // A frame of another type breaks off what was not complete: the call has ended, or the peer is wrong.
    if let partial = partials[id], partial.type != frame.type { drop(id) }
    guard frame.type.carriesMessages, !(isLast && partials[id] == nil) else { return .frame(frame) }
    append(frame)
    guard let partial = partials[id] else { return nil }
    if partial.isSkipped {
      if isLast { drop(id) }
      return nil
    }
    let isWithinBounds = heldByteCount <= maximumHeld && partials.count <= Self.maximumPartials
    guard isWithinBounds, partial.payload.count <= maximumMessage else {
      drop(id)
      if !isLast && partials.count < Self.maximumPartials {
        partials[id] = Partial(type: frame.type, payload: [], isSkipped: true)
      }
      let length = UInt32(clamping: partial.payload.count)
      return .oversize(FrameHeader(length: length, streamID: id, type: frame.type, flags: frame.flags))
    }
    guard isLast else { return nil }
    drop(id)
    return .frame(Frame(streamID: id, type: frame.type, flags: frame.flags, payload: partial.payload))
  }

  /// The call has ended: what came of its message is dropped.
  mutating func drop(_ id: StreamID) {
    guard !partials.isEmpty, let partial = partials.removeValue(forKey: id) else { return }
    heldByteCount -= partial.payload.count
  }

  /// Adds a fragment in place: a message of many is not copied for each.
  private mutating func append(_ frame: Frame) {
    if let index = partials.index(forKey: frame.streamID) {
      guard !partials.values[index].isSkipped else { return }
      partials.values[index].payload += frame.payload
    } else {
      partials[frame.streamID] = Partial(type: frame.type, payload: frame.payload)
    }
    heldByteCount += frame.payload.count
  }
}
