import DequeModule
import TimeAndChance

/// The bytes that are to be written on a connection, and the frames that wait because there are too many.
///
/// From `highWater` bytes on, requests and messages wait in order and move up as the transport takes bytes, so that memory
/// is bounded by the mark, one message, and what waiting writers hold anyway. Frames that end a call do not wait; a server
/// bounds them by taking no more calls while they are `tooManyResponses`.
struct Outbound: Sendable {
  static let highWater = 256 * 1024
  /// The largest buffer kept by a connection that has nothing to write.
  static let idleCapacity = 16 * 1024

  struct WaitingFrame: Sendable {
    enum Content: Sendable {
      case request(FrameFlags, RequestEnvelope, deadline: ContinuousClock.Instant?)
      case message([UInt8], WriteContinuation)
      case end
    }

    let id: StreamID
    /// Tells apart the writers of one call.
    let ticket: UInt64
    let content: Content
  }

  private var bytes: [UInt8] = []
  private(set) var waiting: Deque<WaitingFrame> = []
  private var lastTicket: UInt64 = 0
  /// How many of `bytes` are responses.
  private var responseBytes = 0

  /// Whether there is something to write.
  var hasBytes: Bool { !bytes.isEmpty }
  /// Whether requests and messages have to wait.
  var isFull: Bool { bytes.count >= Self.highWater || !waiting.isEmpty }
  /// Whether the peer has asked for more than it takes. Messages of streams do not count: their writers wait, and the peer
  /// must be heard to cancel them.
  var tooManyResponses: Bool { responseBytes >= Self.highWater }

  // MARK: Frames that may wait

  /// Sends a request, now or when there is room; its timeout is what is then left until `deadline`.
  mutating func appendRequest(
    _ envelope: RequestEnvelope, _ flags: FrameFlags, deadline: ContinuousClock.Instant?, id: StreamID
  ) {
    if isFull {
      _ = wait(id, .request(flags, envelope, deadline: deadline))
    } else {
      write(envelope, flags, id)
    }
  }

  /// Appends a message of a stream if there is room.
  mutating func appendMessage(_ message: [UInt8], id: StreamID) -> Bool {
    guard !isFull else { return false }
    write(message, id)
    return true
  }

  /// Keeps a message until there is room; returns a ticket for `cancelWait`.
  mutating func wait(_ message: [UInt8], id: StreamID, _ writer: WriteContinuation) -> UInt64 {
    wait(id, .message(message, writer))
  }

  /// Ends a stream, after all of it that waits.
  mutating func appendEnd(id: StreamID) {
    if waiting.contains(where: { $0.id == id }) { _ = wait(id, .end) } else { writeEnd(id) }
  }

  /// Ends the wait of one writer.
  mutating func cancelWait(ticket: UInt64, _ deferred: inout Deferred) {
    guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return }
    if case .message(_, let writer) = waiting.remove(at: index).content { deferred.resume(writer, .cancelled) }
  }

  /// Drops all that waits for a call that has ended; returns whether its request was among it, so that the peer has never
  /// heard of the call.
  mutating func drop(_ id: StreamID, _ deferred: inout Deferred) -> Bool {
    guard !waiting.isEmpty else { return false }
    var droppedRequest = false
    waiting.removeAll { frame in
      guard frame.id == id else { return false }
      switch frame.content {
      case .request: droppedRequest = true
      case .message(_, let writer): deferred.resume(writer, .refused)
      case .end: break
      }
      return true
    }
    return droppedRequest
  }

  private mutating func wait(_ id: StreamID, _ content: WaitingFrame.Content) -> UInt64 {
    lastTicket += 1
    waiting.append(WaitingFrame(id: id, ticket: lastTicket, content: content))
    return lastTicket
  }

  // MARK: Frames that end a call

  /// Appends a response.
  mutating func appendResponse(_ envelope: ResponseEnvelope, id: StreamID) {
    let before = bytes.count
    writeFrame(id, .response) { envelope.append(to: &$0) }
    responseBytes += bytes.count - before
  }

  /// Tells the server to stop a call.
  mutating func appendCancel(id: StreamID) { writeFrame(id, .cancel) }

  // MARK: The transport's side

  /// Exchanges the bytes for an empty buffer and moves up what waits.
  mutating func take(_ buffer: inout [UInt8], clock: any ServiceClock, _ deferred: inout Deferred) {
    precondition(buffer.isEmpty, "bytes to be written are exchanged for an empty buffer")
    if bytes.isEmpty {
      // The connection goes idle.
      if bytes.capacity > Self.idleCapacity { bytes = [] }
      return
    }
    swap(&bytes, &buffer)
    responseBytes = 0
    while bytes.count < Self.highWater, let frame = waiting.popFirst() {
      switch frame.content {
      case .request(let flags, var envelope, let deadline):
        if let deadline { envelope.timeoutNanoseconds = clock.now.duration(to: deadline).envelopeNanoseconds }
        write(envelope, flags, frame.id)
      case .message(let message, let writer):
        write(message, frame.id)
        deferred.resume(writer, .written)
      case .end: writeEnd(frame.id)
      }
    }
  }

  /// The connection is gone: drops everything.
  mutating func close(_ deferred: inout Deferred) {
    for frame in waiting {
      if case .message(_, let writer) = frame.content { deferred.resume(writer, .refused) }
    }
    waiting = []
    bytes = []
  }

  // MARK: Bytes

  private mutating func write(_ envelope: RequestEnvelope, _ flags: FrameFlags, _ id: StreamID) {
    writeFrame(id, .request, flags) { envelope.append(to: &$0) }
  }

  private mutating func write(_ message: [UInt8], _ id: StreamID) {
    writeFrame(id, .data) { $0.append(contentsOf: message) }
  }

  private mutating func writeEnd(_ id: StreamID) { writeFrame(id, .data, [.remoteClosed, .noData]) }

  private mutating func writeFrame(
    _ id: StreamID, _ type: FrameType, _ flags: FrameFlags = [], payload: (inout [UInt8]) -> Void = { _ in }
  ) {
    let start = bytes.count
    FrameHeader(length: 0, streamID: id, type: type, flags: flags).append(to: &bytes)
    payload(&bytes)
    let length = UInt32(bytes.count - start - FrameHeader.byteCount)
    for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
  }
}

extension Duration {
  /// The duration as `timeout_nano` carries it, clamped to 292 years; never zero, which would be "none".
  var envelopeNanoseconds: Int64 {
    guard self > .zero else { return min(-1, clampedNanoseconds) }
    return max(1, clampedNanoseconds)
  }

  private var clampedNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflowed) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    if overflow || overflowed { return seconds > 0 ? .max : .min }
    return sum
  }
}
