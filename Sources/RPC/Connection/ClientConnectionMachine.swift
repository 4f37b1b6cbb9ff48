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
    /// The call ended with its one reply or an error.
    case reply(Call, Result<ArraySlice<UInt8>, RPCError>)
    /// A message of a reply stream; `ended` if it is the last.
    case message(Call, ArraySlice<UInt8>, ended: Bool)
    /// A reply stream ended.
    case ended(Call, RPCError?)
    /// The peer broke the protocol: the call has failed with this, and the peer is told to stop it.
    case violation(Call, RPCError)
    /// Nothing to do.
    case ignored
  }

  private struct Stream {
    var call: Call
    var streamsReplies: Bool
    var isOpenForRequests: Bool
  }

  private let lastID: StreamID
  private var nextID = StreamID.first
  private var streams: [StreamID: Stream] = [:]

  /// A machine that uses ids up to `lastID`.
  init(lastID: StreamID = .last) { self.lastID = lastID }

  /// How many calls are running.
  var callCount: Int { streams.count }
  /// Whether the ids of this connection are used up: it serves the calls it has and takes no new ones.
  var isExhausted: Bool { nextID > lastID }
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

  /// The connection is gone: hands out every call, in the order of ids, to be failed.
  mutating func close() -> [Call] {
    defer { streams = [:] }
    return streams.sorted { $0.key < $1.key }.map(\.value.call)
  }

  mutating func receive(_ frame: Frame) -> Event {
    switch frame.type {
    case .response: receiveResponse(frame)
    case .data: receiveData(frame)
    default: .ignored
    }
  }

  /// A frame above the limit fails its call, whatever it was: the call cannot go on without it.
  mutating func receiveOversize(_ header: FrameHeader, limit: Int) -> Event {
    guard header.type == .response || header.type == .data, let call = abandon(header.streamID) else { return .ignored }
    let error = RPCError(
      .resourceExhausted, "the server sent a frame of \(header.length) bytes, above the limit of \(limit)")
    return .violation(call, error)
  }

  private mutating func receiveResponse(_ frame: Frame) -> Event {
    guard let stream = streams.removeValue(forKey: frame.streamID) else { return .ignored }
    let outcome: Result<ArraySlice<UInt8>, RPCError>
    do throws(EnvelopeError) {
      let response = try ResponseEnvelope(parsing: frame.payload[...])
      outcome = if let error = response.error { .failure(error) } else { .success(response.payload) }
    } catch {
      outcome = .failure(RPCError(.internal, "malformed response envelope: \(error.reason)"))
    }
    guard stream.streamsReplies else { return .reply(stream.call, outcome) }
    switch outcome {
    case .failure(let error): return .ended(stream.call, error)
    // Plain peers may end a reply stream with a Response; its payload, if any, is the last message.
    case .success(let payload):
      return payload.isEmpty ? .ended(stream.call, nil) : .message(stream.call, payload, ended: true)
    }
  }

  private mutating func receiveData(_ frame: Frame) -> Event {
    guard let stream = streams[frame.streamID] else { return .ignored }
    guard stream.streamsReplies else {
      streams[frame.streamID] = nil
      return .violation(
        stream.call, RPCError(.internal, "the server sent stream data for a call that has one reply"))
    }
    let ended = frame.flags.contains(.remoteClosed)
    if ended { streams[frame.streamID] = nil }
    // A zero-length Data without ND is an empty message, not an end; with RC an empty payload is only the end.
    if frame.payload.isEmpty, ended || frame.flags.contains(.noData) {
      return ended ? .ended(stream.call, nil) : .ignored
    }
    return .message(stream.call, frame.payload[...], ended: ended)
  }
}
