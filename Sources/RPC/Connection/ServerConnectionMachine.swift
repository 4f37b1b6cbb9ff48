/// The server's side of a connection as a pure value: frames go in, events come out. `Call` is whatever the shell keeps
/// for a call.
///
/// Three kinds of invalid operation, treated differently:
/// - ours (accepting an id twice) is a precondition failure;
/// - the peer's (an id that is even or was used before, an envelope that cannot be read, data for a call that never was or
///   after its end, a frame above the limit) is answered on that stream and harms no other call;
/// - what a correct peer may do because frames cross on the wire or because it speaks a newer protocol (data or a cancel
///   for a call that has ended, frames of unknown types on odd ids) is ignored.
struct ServerConnectionMachine<Call: Sendable>: Sendable {
  enum Event: Sendable {
    /// A new call; the shell answers with `accept` or by sending a response.
    case open(Opening)
    /// A message of an open call, the last one if `ended`; nil is a bare half-close.
    case message(Call, ArraySlice<UInt8>?, ended: Bool)
    /// The caller gave up; the call is forgotten.
    case cancelled(Call)
    /// Answer this on the stream; the call, if any, is forgotten.
    case reject(RPCError, Call?)
    /// Nothing to do.
    case ignored
  }

  /// A call that a client asks for.
  struct Opening: Sendable, Hashable {
    let id: StreamID
    let envelope: RequestEnvelope
    /// The message that came with the request, if any.
    let message: ArraySlice<UInt8>?
    /// Whether no more will follow.
    let ended: Bool
    /// Whether the client wants the call served with the extensions.
    var isExtended = false
  }

  /// What becomes of new calls.
  enum Admission: Sendable {
    case open
    /// The server is stopping: they are answered `UNAVAILABLE`.
    case refused
    /// The client was told from which id on calls are not looked at.
    case passedOver
  }

  /// What the client may still send on a stream.
  private enum Requests: Sendable {
    case messages
    /// One message, which a call that takes one request has not had yet.
    case oneMessage
    case onlyTheEnd
    case nothing
  }

  private struct Stream {
    var call: Call
    var requests: Requests
  }

  private let metadataLimit: Int
  /// The greatest id that a client has used.
  private(set) var highestID = StreamID.none
  private var streams: [StreamID: Stream] = [:]
  var admission = Admission.open
  /// The calls of which a part of the request has come: other calls may be complete before them.
  private var announced: Set<StreamID> = []

  /// A machine that takes metadata up to `metadataLimit` bytes.
  init(metadataLimit: Int) { self.metadataLimit = metadataLimit }

  /// How many calls are running.
  var callCount: Int { streams.count }
  /// The calls that are running, in no order.
  var calls: some Sequence<(id: StreamID, call: Call)> { streams.lazy.map { (id: $0.key, call: $0.value.call) } }

  /// The shell took the call that `.open` announced.
  mutating func accept(_ opening: Opening, _ shape: CallShape, _ call: Call) {
    let requests: Requests =
      if opening.ended { .nothing } else if shape.streamsRequests {
        .messages
      } else {
        opening.message == nil ? .oneMessage : .onlyTheEnd
      }
    let previous = streams.updateValue(Stream(call: call, requests: requests), forKey: opening.id)
    precondition(previous == nil, "call \(opening.id) was accepted twice")
  }

  /// Whether the call still runs: nothing may be sent for one that does not.
  func isRunning(_ id: StreamID) -> Bool { streams[id] != nil }

  /// The shell sends the last frame of the call; returns the call if it still ran.
  mutating func finish(_ id: StreamID) -> Call? { streams.removeValue(forKey: id)?.call }

  /// The connection is gone: hands out every call, in the order of ids, to be cancelled.
  mutating func close() -> [Call] {
    defer { streams = [:] }
    return streams.sorted { $0.key < $1.key }.map(\.value.call)
  }

  /// A fragment of a request came: its id is used from now on. Returns whether the request is awaited.
  mutating func announce(_ id: StreamID) -> Bool {
    if announced.contains(id) { return true }
    guard id.isOdd, id > highestID, admission != .passedOver else { return false }
    highestID = id
    announced.insert(id)
    return true
  }

  mutating func receive(_ frame: Frame) -> Event {
    let id = frame.streamID
    guard id.isOdd else { return Self.badID(id) }
    switch frame.type {
    case .request: return receiveRequest(frame)
    case .data: return receiveData(frame)
    case .cancel:
      announced.remove(id)
      return finish(id).map { .cancelled($0) } ?? .ignored
    default: return .ignored
    }
  }

  /// A frame above the limit: its call, new or running, fails; the rest of the connection goes on.
  mutating func receiveOversize(_ header: FrameHeader, limit: Int) -> Event {
    let id = header.streamID
    guard id.isOdd else { return Self.badID(id) }
    let error = RPCError(
      .resourceExhausted, "a message of \(header.length) bytes is above the limit of \(limit); send smaller ones")
    switch header.type {
    case .request:
      let isNew = id > highestID
      if isNew, case .passedOver = admission { return .ignored }
      highestID = max(highestID, id)
      announced.remove(id)
      return .reject(error, finish(id))
    case .data:
      // One that crossed the end of its call is no mistake, or not this one.
      guard let call = finish(id) else { return id > highestID ? Self.neverOpened(id) : .ignored }
      return .reject(error, call)
    default: return .ignored
    }
  }

  private mutating func receiveRequest(_ frame: Frame) -> Event {
    let id = frame.streamID
    // What was announced before the end of the connection was still belongs to it.
    let wasAnnounced = announced.remove(id) != nil
    if !wasAnnounced {
      guard id > highestID else {
        let error = RPCError(.invalidArgument, "stream id \(id) was used before; ids rise, the last was \(highestID)")
        return .reject(error, finish(id))
      }
      if case .passedOver = admission { return .ignored }
      highestID = id
    }
    if case .refused = admission {
      return .reject(RPCError(.unavailable, "the server is stopping; call another or retry"), nil)
    }
    do throws(EnvelopeError) {
      let envelope = try RequestEnvelope(parsing: frame.payload[...], metadataLimit: metadataLimit)
      // An opened stream (RO) may start without a message; the empty payload of any other request is an empty message,
      // unless it says that it is none.
      let opensStream = frame.flags.contains(.remoteOpen)
      let hasMessage = !envelope.payload.isEmpty || !(opensStream || frame.flags.contains(.noData))
      return .open(
        Opening(
          id: id, envelope: envelope, message: hasMessage ? envelope.payload : nil, ended: !opensStream,
          isExtended: frame.flags.contains(.extended)))
    } catch {
      return .reject(RPCError(error.code, "bad request envelope: \(error.reason)"), nil)
    }
  }

  private mutating func receiveData(_ frame: Frame) -> Event {
    let id = frame.streamID
    guard let stream = streams[id] else { return id > highestID ? Self.neverOpened(id) : .ignored }
    let ended = frame.flags.contains(.remoteClosed)
    // A zero-length Data without ND is an empty message, not an end; with RC an empty payload is only the end.
    let isMessage = !frame.payload.isEmpty || !(ended || frame.flags.contains(.noData))
    guard isMessage || ended else { return .ignored }
    let fault: String? =
      switch stream.requests {
      case .nothing: "data for stream \(id) after its end"
      case .onlyTheEnd: isMessage ? "a second request on stream \(id), whose method takes one" : nil
      case .oneMessage: isMessage ? nil : "stream \(id) ended without the one request that its method takes"
      case .messages: nil
      }
    if let fault { return .reject(RPCError(.invalidArgument, fault), finish(id)) }
    if ended {
      streams[id]?.requests = .nothing
    } else if case .oneMessage = stream.requests {
      streams[id]?.requests = .onlyTheEnd
    }
    return .message(stream.call, isMessage ? frame.payload[...] : nil, ended: ended)
  }

  private static func badID(_ id: StreamID) -> Event {
    .reject(RPCError(.invalidArgument, "stream id \(id): a client's ids are odd"), nil)
  }

  private static func neverOpened(_ id: StreamID) -> Event {
    .reject(RPCError(.invalidArgument, "data for stream \(id), which was never opened"), nil)
  }
}
