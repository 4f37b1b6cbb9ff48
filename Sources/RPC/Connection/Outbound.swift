import DequeModule
import TimeAndChance

/// The bytes that are to be written on a connection, and the frames that wait: because too many bytes are, because their
/// stream has no credit, or because the peer takes no more calls.
///
/// From `highWater` bytes on, requests and messages wait and move up as the transport takes bytes, so that memory is bounded
/// by the mark, one message, and what waiting writers hold anyway. Each stream has a lane, in which order is kept; lanes
/// take turns, of a frame or a fragment each, so that a large message delays no other call. The peer holds what has come of
/// messages in fragments: all that are begun are no larger together than its largest message. Frames that end a call do not
/// wait for room; a server bounds them by taking no more calls while they are `tooManyResponses`.
struct Outbound: Sendable {
  static let highWater = 256 * 1024
  /// The largest buffer kept by a connection that had nothing to write for a while.
  static let idleCapacity = 16 * 1024
  /// The largest piece of a message towards a peer that can put it together.
  static let fragmentBytes = 64 * 1024
  /// What a message costs beyond its bytes, so that credit bounds empty ones as well.
  static let messageCost = FrameHeader.byteCount

  struct WaitingFrame: Sendable {
    enum Content: Sendable {
      case request(FrameFlags, RequestEnvelope, deadline: ContinuousClock.Instant?)
      case message([UInt8], WriteContinuation)
      case response([UInt8])
      case headers(Metadata)
      /// The end of a stream: nil is the empty Data frame of ttrpc.
      case end(StreamEnd?)
    }

    /// Tells apart the writers of one call.
    let ticket: UInt64
    let content: Content
  }

  /// A payload of which a part has been written.
  private struct Remainder {
    let type: FrameType
    let flags: FrameFlags
    let payload: [UInt8]
    /// What it counts among `begunBytes`.
    let weight: Int
    var offset = 0
    var writer: WriteContinuation?
  }

  /// What waits of one stream, in order.
  private struct Lane {
    var frames: Deque<WaitingFrame> = []
    var remainder: Remainder?
    /// The bytes of data that the peer takes; nil where it does not say.
    var credit: Int?
    /// Whether it stands among `turns`, `starving`, `crowded` or `held`.
    var isQueued = false
    /// What its first frame, which is to be sent in fragments, counts among `begunBytes` already.
    var admitted: Int?

    var isEmpty: Bool { frames.isEmpty && remainder == nil }
  }

  private var bytes: [UInt8] = []
  private var lanes: [StreamID: Lane] = [:]
  /// The lanes that may go on when there is room, the next one first.
  private var turns: Deque<StreamID> = []
  /// The lanes that wait for credit of the connection.
  private var starving: Deque<StreamID> = []
  /// The lanes whose first frame is to be sent in fragments and has to wait until others are complete.
  private var crowded: Deque<StreamID> = []
  /// The bytes of frames of which a fragment was sent, or may be, and not the last.
  private var begunBytes = 0
  /// The most of these that the peer holds, unless one frame alone has more.
  private var maximumBegun = Int.max
  /// The lanes of calls that wait until the peer takes them, in the order of their ids.
  private var held: Deque<StreamID> = []
  private var lastTicket: UInt64 = 0
  /// How many of `bytes`, and of what waits, are responses.
  private var responseBytes = 0
  private var waitingResponseBytes = 0

  /// The credit with which a stream begins; nil where none is counted.
  private var streamWindow: Int?
  private var connectionCredit: Int?
  /// Whether the peer puts fragments together.
  private(set) var fragments = false
  /// Whether messages wait for credit. Towards a peer that seems to be a plain one it is counted all the same: it may yet say
  /// what it takes.
  private var waitsForCredit = true

  /// Towards a peer of which nothing is known but that it may count: the end of a client, until the first frame comes.
  static var cautious: Outbound {
    var outbound = Outbound()
    outbound.streamWindow = Hello.initialStreamWindow
    outbound.connectionCredit = Hello.initialStreamWindow
    return outbound
  }

  private func isBlocked(_ lane: Lane) -> Bool {
    guard waitsForCredit, lane.remainder == nil, let credit = lane.credit, case .message? = lane.frames.first?.content
    else { return false }
    return credit <= 0
  }

  private var isStarving: Bool { waitsForCredit && connectionCredit ?? 1 <= 0 }

  /// Whether there is something to write.
  var hasBytes: Bool { !bytes.isEmpty }
  /// Whether requests and messages have to wait for room.
  var isFull: Bool { bytes.count >= Self.highWater || !turns.isEmpty }
  /// Whether the peer has asked for more than it takes. Messages of streams do not count: their writers wait, and the peer
  /// must be heard to cancel them.
  var tooManyResponses: Bool { responseBytes + waitingResponseBytes >= Self.highWater }
  /// How many calls wait until the peer takes them.
  var heldCount: Int { held.count }
  /// What waits, lane by lane.
  var waiting: [(id: StreamID, frame: WaitingFrame)] {
    lanes.sorted { $0.key < $1.key }.flatMap { id, lane in lane.frames.map { (id, $0) } }
  }

  // MARK: Frames that may wait

  /// Sends a request, now or when there is room, or, if it is `held`, when the peer takes it; its timeout is what is then
  /// left until `deadline`. `countsData` says whether the call will send messages.
  mutating func appendRequest(
    _ envelope: RequestEnvelope, _ flags: FrameFlags, deadline: ContinuousClock.Instant?, id: StreamID,
    countsData: Bool = false, isHeld: Bool = false, clock: any ServiceClock, _ deferred: inout Deferred
  ) {
    if countsData { openLane(id) }
    if isHeld || isFull || (fragments && envelope.payload.count > Self.fragmentBytes) {
      enqueue(.request(flags, envelope, deadline: deadline), id, isHeld: isHeld)
      fill(clock, &deferred)
    } else {
      writeFrame(id, .request, flags) { envelope.append(to: &$0) }
    }
  }

  /// From now on, messages of the stream cost credit, if the peer counts it.
  mutating func openLane(_ id: StreamID) {
    if let streamWindow, lanes[id] == nil { lanes[id] = Lane(credit: streamWindow) }
  }

  /// Appends a message of a stream if there is room and credit.
  mutating func appendMessage(_ message: [UInt8], id: StreamID) -> Bool {
    guard !isFull, !fragments || message.count <= Self.fragmentBytes, !isStarving else { return false }
    if let index = lanes.index(forKey: id) {
      guard lanes.values[index].isEmpty, !waitsForCredit || lanes.values[index].credit ?? 1 > 0 else { return false }
      lanes.values[index].credit? -= message.count + Self.messageCost
    }
    connectionCredit? -= message.count + Self.messageCost
    writeFrame(id, .data) { $0.append(contentsOf: message) }
    return true
  }

  /// Keeps a message until there is room and credit; returns a ticket for `cancelWait`.
  mutating func wait(
    _ message: [UInt8], id: StreamID, _ writer: WriteContinuation, clock: any ServiceClock, _ deferred: inout Deferred
  ) -> UInt64 {
    let ticket = enqueue(.message(message, writer), id)
    fill(clock, &deferred)
    return ticket
  }

  /// The metadata with which the replies of a stream begin.
  mutating func appendHeaders(_ metadata: Metadata, id: StreamID) {
    if lanes[id]?.isEmpty ?? true { writeHeaders(metadata, id) } else { enqueue(.headers(metadata), id) }
  }

  /// Ends a stream, after all of it that waits: with an END frame, or without one as ttrpc does.
  mutating func appendEnd(_ end: StreamEnd? = nil, id: StreamID) {
    if lanes[id]?.isEmpty ?? true {
      lanes[id] = nil
      writeEnd(end, id)
    } else {
      enqueue(.end(end), id)
    }
  }

  /// Ends the wait of one writer, unless a part of its message has been written.
  mutating func cancelWait(_ id: StreamID, ticket: UInt64, _ deferred: inout Deferred) {
    guard let index = lanes[id]?.frames.firstIndex(where: { $0.ticket == ticket }),
      case .message(_, let writer)? = lanes[id]?.frames.remove(at: index).content
    else { return }
    deferred.resume(writer, .cancelled)
    if index == lanes[id]?.frames.startIndex { withdraw(id) }
    // What stood behind it may go on.
    revive(id)
  }

  /// Drops all that waits for a call that has ended; returns whether its request was among it, so that the peer has never
  /// heard of the call.
  mutating func drop(_ id: StreamID, _ deferred: inout Deferred) -> Bool {
    guard !lanes.isEmpty, let lane = lanes.removeValue(forKey: id) else { return false }
    if lane.isQueued {
      turns.removeAll { $0 == id }
      starving.removeAll { $0 == id }
      crowded.removeAll { $0 == id }
      held.removeAll { $0 == id }
    }
    release(lane.admitted ?? 0)
    if let rest = lane.remainder {
      release(rest.weight)
      if rest.type == .response { waitingResponseBytes -= rest.payload.count }
      if let writer = rest.writer { deferred.resume(writer, .refused) }
    }
    var droppedRequest = false
    for frame in lane.frames {
      switch frame.content {
      case .request: droppedRequest = true
      case .message(_, let writer): deferred.resume(writer, .refused)
      case .response(let payload): waitingResponseBytes -= payload.count
      case .headers, .end: break
      }
    }
    return droppedRequest
  }

  @discardableResult
  private mutating func enqueue(_ content: WaitingFrame.Content, _ id: StreamID, isHeld: Bool = false) -> UInt64 {
    lastTicket += 1
    var lane = lanes.removeValue(forKey: id) ?? Lane()
    lane.frames.append(WaitingFrame(ticket: lastTicket, content: content))
    if isHeld {
      held.append(id)
      lane.isQueued = true
    } else if !lane.isQueued && !isBlocked(lane) {
      turns.append(id)
      lane.isQueued = true
    }
    lanes[id] = lane
    return lastTicket
  }

  /// Lets a lane take turns again that has something and may send it.
  private mutating func revive(_ id: StreamID) {
    guard let lane = lanes[id], !lane.isQueued, !lane.isEmpty, !isBlocked(lane) else { return }
    lanes[id]?.isQueued = true
    turns.append(id)
  }

  /// The first frame of a lane is gone, which may have waited for others, or have made others wait.
  private mutating func withdraw(_ id: StreamID) {
    if let index = crowded.firstIndex(of: id) {
      crowded.remove(at: index)
      lanes[id]?.isQueued = false
    }
    release(lanes[id]?.admitted.take() ?? 0)
  }

  // MARK: What the peer takes

  /// The peer has said what it takes; nil is a peer that says nothing and seems to count nothing.
  mutating func learn(_ hello: Hello?, clock: any ServiceClock, _ deferred: inout Deferred) {
    waitsForCredit = hello != nil
    fragments = hello != nil
    if let hello {
      maximumBegun = hello.maximumMessage
      let more = hello.streamWindow - (streamWindow ?? 0)
      streamWindow = hello.streamWindow
      for id in lanes.keys { lanes[id]?.credit? += more }
      connectionCredit = hello.connectionWindow + (connectionCredit.map { $0 - Hello.initialStreamWindow } ?? 0)
    }
    feed()
    for id in lanes.keys.sorted() { revive(id) }
    fill(clock, &deferred)
  }

  /// The peer takes more data of a stream, or of the connection.
  mutating func addCredit(_ count: Int, to id: StreamID, clock: any ServiceClock, _ deferred: inout Deferred) {
    if id == .connection {
      connectionCredit? += count
      feed()
    } else {
      lanes[id]?.credit? += count
      revive(id)
    }
    fill(clock, &deferred)
  }

  /// The peer takes so many more calls: those that were held are sent.
  mutating func admit(_ count: Int, clock: any ServiceClock, _ deferred: inout Deferred) {
    guard count > 0, !held.isEmpty else { return }
    for _ in 0..<min(count, held.count) { turns.append(held.removeFirst()) }
    fill(clock, &deferred)
  }

  /// Lets the lanes go on that wait for credit of the connection.
  private mutating func feed() {
    guard !isStarving else { return }
    turns.append(contentsOf: starving)
    starving = []
  }

  // MARK: Frames that do not wait

  /// Appends a response; a large one takes turns with what else waits.
  mutating func appendResponse(
    _ envelope: ResponseEnvelope, id: StreamID, clock: any ServiceClock, _ deferred: inout Deferred
  ) {
    if fragments && envelope.payload.count > Self.fragmentBytes {
      var payload: [UInt8] = []
      envelope.append(to: &payload)
      waitingResponseBytes += payload.count
      enqueue(.response(payload), id)
      fill(clock, &deferred)
    } else {
      let before = bytes.count
      writeFrame(id, .response) { envelope.append(to: &$0) }
      responseBytes += bytes.count - before
    }
  }

  /// Tells the server to stop a call.
  mutating func appendCancel(id: StreamID) { writeFrame(id, .cancel) }

  /// Grants the peer credit for data of a stream or of the connection.
  mutating func appendWindow(_ count: Int, id: StreamID) {
    writeFrame(id, .window) { $0.appendBigEndian(UInt32(clamping: count)) }
  }

  /// Appends a frame about the connection.
  mutating func append(_ type: FrameType, _ flags: FrameFlags = [], payload: (inout [UInt8]) -> Void) {
    writeFrame(.connection, type, flags, payload: payload)
  }

  // MARK: The transport's side

  /// Exchanges the bytes for an empty buffer and moves up what waits.
  mutating func take(_ buffer: inout [UInt8], clock: any ServiceClock, _ deferred: inout Deferred) {
    precondition(buffer.isEmpty, "bytes to be written are exchanged for an empty buffer")
    if bytes.isEmpty { return }
    swap(&bytes, &buffer)
    responseBytes = 0
    fill(clock, &deferred)
  }

  /// Gives a large buffer back that is not in use.
  mutating func tidy() {
    if bytes.isEmpty, bytes.capacity > Self.idleCapacity { bytes = [] }
  }

  /// The connection is gone: drops everything.
  mutating func close(_ deferred: inout Deferred) {
    for id in lanes.keys.sorted() { _ = drop(id, &deferred) }
    bytes = []
  }

  // MARK: Turns

  /// Gives the lanes their turns as long as there is room.
  private mutating func fill(_ clock: any ServiceClock, _ deferred: inout Deferred) {
    while bytes.count < Self.highWater, let id = turns.popFirst() {
      guard var lane = lanes.removeValue(forKey: id) else { continue }
      lane.isQueued = false
      takeTurn(&lane, id, clock, &deferred)
      if !lane.isQueued, !lane.isEmpty, !isBlocked(lane) {
        lane.isQueued = true
        turns.append(id)
      }
      // A lane without credit to keep is kept as long as something waits in it.
      if !lane.isEmpty || lane.credit != nil { lanes[id] = lane }
    }
  }

  /// Writes the next frame or fragment of a lane.
  private mutating func takeTurn(
    _ lane: inout Lane, _ id: StreamID, _ clock: any ServiceClock, _ deferred: inout Deferred
  ) {
    if lane.remainder != nil { return writeFragment(&lane, id, &deferred) }
    guard let frame = lane.frames.first else { return }
    if case .message = frame.content, isStarving {
      starving.append(id)
      lane.isQueued = true
      return
    }
    guard let weight = admit(&lane, frame) else {
      crowded.append(id)
      lane.isQueued = true
      return
    }
    switch frame.content {
    case .request(let flags, var envelope, let deadline):
      if let deadline { envelope.timeoutNanoseconds = clock.now.duration(to: deadline).envelopeNanoseconds }
      if weight > 0 {
        var payload: [UInt8] = []
        payload.reserveCapacity(envelope.maximumByteCount)
        envelope.append(to: &payload)
        lane.remainder = Remainder(type: .request, flags: flags, payload: payload, weight: weight)
        writeFragment(&lane, id, &deferred)
      } else {
        writeFrame(id, .request, flags) { envelope.append(to: &$0) }
      }
    case .response(let payload):
      lane.remainder = Remainder(type: .response, flags: [], payload: payload, weight: weight)
      writeFragment(&lane, id, &deferred)
    case .message(let message, let writer):
      lane.credit? -= message.count + Self.messageCost
      if weight > 0 {
        lane.remainder = Remainder(type: .data, flags: [], payload: message, weight: weight, writer: writer)
        writeFragment(&lane, id, &deferred)
      } else {
        connectionCredit? -= message.count + Self.messageCost
        writeFrame(id, .data) { $0.append(contentsOf: message) }
        deferred.resume(writer, .written)
      }
    case .headers(let metadata): writeHeaders(metadata, id)
    case .end(let end):
      writeEnd(end, id)
      lane.credit = nil
    }
    lane.frames.removeFirst()
  }

  /// Lets the first frame of a lane be sent if it goes in one piece, or if the peer holds its fragments with those of others.
  /// Returns what it counts until its last fragment was sent; nil if it has to wait.
  private mutating func admit(_ lane: inout Lane, _ frame: WaitingFrame) -> Int? {
    if let admitted = lane.admitted.take() { return admitted }
    let weight = fragmentedByteCount(frame)
    guard weight > 0 else { return 0 }
    guard crowded.isEmpty, begunBytes == 0 || begunBytes + weight <= maximumBegun else { return nil }
    begunBytes += weight
    return weight
  }

  /// A frame in fragments is complete, or will not be: those that waited for it may begin, the first come first.
  private mutating func release(_ weight: Int) {
    begunBytes -= weight
    while let id = crowded.first, let frame = lanes[id]?.frames.first {
      let weight = fragmentedByteCount(frame)
      guard begunBytes == 0 || begunBytes + weight <= maximumBegun else { return }
      begunBytes += weight
      lanes[id]?.admitted = weight
      turns.append(crowded.removeFirst())
    }
  }

  /// The size of a frame that goes in fragments, 0 for one that does not.
  private func fragmentedByteCount(_ frame: WaitingFrame) -> Int {
    let (bytes, message) =
      switch frame.content {
      case .request(_, let envelope, _): (envelope.maximumByteCount, envelope.payload.count)
      // Smaller ones do not wait.
      case .response(let payload): (payload.count, Int.max)
      case .message(let message, _): (message.count, message.count)
      case .headers, .end: (0, 0)
      }
    return fragments && message > Self.fragmentBytes ? bytes : 0
  }

  /// Writes the next fragment of a message; messages of streams wait for credit of the connection.
  private mutating func writeFragment(_ lane: inout Lane, _ id: StreamID, _ deferred: inout Deferred) {
    guard var rest = lane.remainder.take() else { return }
    let isData = rest.type == .data
    guard !isData || !isStarving else {
      lane.remainder = rest
      lane.isQueued = true
      return starving.append(id)
    }
    let end = min(rest.offset + Self.fragmentBytes, rest.payload.count)
    let isLast = end == rest.payload.count
    let before = bytes.count
    writeFrame(id, rest.type, isLast ? rest.flags : rest.flags.union(.more)) {
      $0.append(contentsOf: rest.payload[rest.offset..<end])
    }
    if isData { connectionCredit? -= end - rest.offset + (isLast ? Self.messageCost : 0) }
    if rest.type == .response { responseBytes += bytes.count - before }
    rest.offset = end
    if isLast {
      release(rest.weight)
      if rest.type == .response { waitingResponseBytes -= rest.payload.count }
      if let writer = rest.writer { deferred.resume(writer, .written) }
    } else {
      lane.remainder = rest
    }
  }

  // MARK: Bytes

  private mutating func writeHeaders(_ metadata: Metadata, _ id: StreamID) {
    writeFrame(id, .headers) { $0.appendMetadata(1, metadata) }
  }

  private mutating func writeEnd(_ end: StreamEnd?, _ id: StreamID) {
    if let end {
      writeFrame(id, .end) { end.append(to: &$0) }
    } else {
      writeFrame(id, .data, [.remoteClosed, .noData])
    }
  }

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

extension [UInt8] {
  fileprivate mutating func appendBigEndian(_ value: UInt32) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
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
