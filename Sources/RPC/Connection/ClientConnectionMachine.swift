/// The client's side of a connection as a pure value: frames go in, events come out. `Call` is whatever the shell keeps
/// for a call.
///
/// Three kinds of invalid operation, treated differently:
/// - ours (beginning a call without an id left) is a precondition failure;
/// - the peer's (a reply that cannot be read, data for a call that has one reply, a frame above the limit) fails that call
///   alone;
/// - what a correct peer may do because frames cross on the wire or because it speaks a newer protocol (anything for a call
///   that has ended here, frames of unknown types) is ignored.
struct ClientConnectionMachine<Call: Sendable>: Sendable {
  enum Event: Sendable {
    /// The call ended with a Response frame.
    case response(Call, ResponseEnvelope)
    /// The metadata with which the replies begin.
    case headers(Call, Metadata)
    /// A message of a reply stream; `ended` if it is the last.
    case message(Call, ArraySlice<UInt8>, ended: Bool)
    /// A reply stream ended.
    case ended(Call, StreamEnd)
    /// The peer broke the protocol: the call has failed with this, and the peer is told to stop it.
    case violation(Call, RPCError)
    /// Nothing to do.
    case ignored
  }

  private struct Stream {
    var call: Call
    var streamsReplies: Bool
    var isOpenForRequests: Bool
    /// Whether metadata of the replies may still come: nothing else of them has.
    var mayHaveHeaders = true
  }

  private let lastID: StreamID
  private let metadataLimit: Int
  private var nextID = StreamID.first
  private var streams: [StreamID: Stream] = [:]

  /// A machine that uses ids up to `lastID` and takes metadata up to `metadataLimit` bytes.
  init(lastID: StreamID = .last, metadataLimit: Int) {
    self.lastID = lastID
    self.metadataLimit = metadataLimit
  }

  /// How many calls are running.
  var callCount: Int { streams.count }
  /// Whether the ids of this connection are used up: it serves the calls it has and takes no new ones.
  var isExhausted: Bool { nextID > lastID }
  /// Whether the call still runs.
  func isRunning(_ id: StreamID) -> Bool { streams[id] != nil }
  /// The calls that are running, in no order.
  var calls: some Sequence<(id: StreamID, call: Call)> { streams.lazy.map { (id: $0.key, call: $0.value.call) } }

  /// Begins a call, which `make` makes for its id: the id, and the flags of the request frame.
  mutating func begin(_ shape: CallShape, _ make: (StreamID) -> Call) -> (id: StreamID, flags: FrameFlags) {
    precondition(!isExhausted, "the connection has no stream ids left")
    let id = nextID
    nextID = StreamID(id.rawValue + 2)
    streams[id] = Stream(
      call: make(id), streamsReplies: shape.streamsReplies, isOpenForRequests: shape.streamsRequests)
    switch shape {
    case .unary: return (id, [])
    case .serverStreaming: return (id, .remoteClosed)
    case .clientStreaming, .bidirectional: return (id, [.remoteOpen, .noData])
    }
  }

  /// Whether the caller may still send a message on the call.
  func maySend(_ id: StreamID) -> Bool { streams[id]?.isOpenForRequests ?? false }

  /// The caller sends no more; returns whether the peer must be told.
  mutating func endRequests(_ id: StreamID) -> Bool {
    guard maySend(id) else { return false }
    streams[id]?.isOpenForRequests = false
    return true
  }

  /// The caller gives up; returns the call if it still ran, and then the peer must be told.
  mutating func abandon(_ id: StreamID) -> Call? { streams.removeValue(forKey: id)?.call }

  /// The peer has not looked at the calls above `lastID` and never will: hands them out, in the order of ids.
  mutating func passOver(above lastID: StreamID) -> [(id: StreamID, call: Call)] {
    let passed = streams.filter { $0.key > lastID }.sorted { $0.key < $1.key }
    for (id, _) in passed { streams[id] = nil }
    return passed.map { (id: $0.key, call: $0.value.call) }
  }

  /// The connection is gone: hands out every call, in the order of ids, to be failed.
  mutating func close() -> [Call] {
    defer { streams = [:] }
    return streams.sorted { $0.key < $1.key }.map(\.value.call)
  }

  mutating func receive(_ frame: Frame) -> Event {
    switch frame.type {
    case .response: receiveResponse(frame)
    case .data: receiveData(frame)
    case .headers: receiveHeaders(frame)
    case .end: receiveEnd(frame)
    default: .ignored
    }
  }

  /// A frame above the limit fails its call, whatever it was: the call cannot go on without it.
  mutating func receiveOversize(_ header: FrameHeader, limit: Int) -> Event {
    guard header.type == .response || header.type == .data, let call = abandon(header.streamID) else { return .ignored }
    let error = RPCError(
      .resourceExhausted, "the server sent a message of \(header.length) bytes, above the limit of \(limit)")
    return .violation(call, error)
  }

  /// Ends any call: one with a stream of replies if it failed, and, where the server is a plain peer, also if not; its
  /// payload, if any, is then the last message.
  private mutating func receiveResponse(_ frame: Frame) -> Event {
    guard let stream = streams.removeValue(forKey: frame.streamID) else { return .ignored }
    do throws(EnvelopeError) {
      return .response(stream.call, try ResponseEnvelope(parsing: frame.payload[...], metadataLimit: metadataLimit))
    } catch {
      return .response(stream.call, ResponseEnvelope(error: error.ofServer("response envelope")))
    }
  }

  private mutating func receiveHeaders(_ frame: Frame) -> Event {
    guard let stream = streams[frame.streamID] else { return .ignored }
    guard stream.mayHaveHeaders else {
      return violation(frame.streamID, stream, "the server sent headers twice, or after a message")
    }
    streams[frame.streamID]?.mayHaveHeaders = false
    do throws(EnvelopeError) {
      return .headers(stream.call, try Metadata(parsingHeaders: frame.payload[...], limit: metadataLimit))
    } catch {
      streams[frame.streamID] = nil
      return .violation(stream.call, error.ofServer("headers"))
    }
  }

  private mutating func receiveEnd(_ frame: Frame) -> Event {
    guard let stream = streams[frame.streamID] else { return .ignored }
    guard stream.streamsReplies else {
      return violation(frame.streamID, stream, "the server ended a stream of a call that has one reply")
    }
    streams[frame.streamID] = nil
    do throws(EnvelopeError) {
      return .ended(stream.call, try StreamEnd(parsing: frame.payload[...], metadataLimit: metadataLimit))
    } catch {
      return .ended(stream.call, StreamEnd(error: error.ofServer("end of a stream")))
    }
  }

  private mutating func violation(_ id: StreamID, _ stream: Stream, _ reason: String) -> Event {
    streams[id] = nil
    return .violation(stream.call, RPCError(.internal, reason))
  }

  private mutating func receiveData(_ frame: Frame) -> Event {
    guard let stream = streams[frame.streamID] else { return .ignored }
    guard stream.streamsReplies else {
      return violation(frame.streamID, stream, "the server sent stream data for a call that has one reply")
    }
    let ended = frame.flags.contains(.remoteClosed)
    if ended {
      streams[frame.streamID] = nil
    } else if stream.mayHaveHeaders {
      streams[frame.streamID]?.mayHaveHeaders = false
    }
    // A zero-length Data without ND is an empty message, not an end; with RC an empty payload is only the end.
    if frame.payload.isEmpty, ended || frame.flags.contains(.noData) {
      return ended ? .ended(stream.call, StreamEnd()) : .ignored
    }
    return .message(stream.call, frame.payload[...], ended: ended)
  }
}

extension EnvelopeError {
  /// What a call fails with when its server has sent something that cannot be read.
  fileprivate func ofServer(_ what: String) -> RPCError {
    RPCError(code == .resourceExhausted ? code : .internal, "malformed \(what): \(reason)")
  }
}
