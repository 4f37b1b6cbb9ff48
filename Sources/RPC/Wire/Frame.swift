/// The unit on the wire (ttrpc): `u32be length, u32be stream id, u8 type, u8 flags`, then `length` bytes of payload.
struct FrameHeader: Sendable, Hashable {
  /// The bytes of a header.
  static let byteCount = 10

  /// Bytes of payload that follow.
  var length: UInt32
  /// The call it belongs to.
  var streamID: StreamID
  /// What the payload is.
  var type: FrameType
  /// What it says of the stream.
  var flags: FrameFlags
}

/// What a frame carries. Types from 0x40 on are Chancery's extensions of ttrpc.
struct FrameType: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt8

  /// Opens a call: a request envelope.
  static let request = FrameType(rawValue: 1)
  /// Ends a call: a response envelope.
  static let response = FrameType(rawValue: 2)
  /// One message of a stream.
  static let data = FrameType(rawValue: 3)

  /// What a peer takes and offers; the first frame of a client.
  static let hello = FrameType(rawValue: 0x40)
  /// Eight bytes that come back.
  static let ping = FrameType(rawValue: 0x41)
  /// The caller gave up; the only extension that may be sent to a plain peer, which ignores it.
  static let cancel = FrameType(rawValue: 0x42)
  /// Credit for data, of a stream or of the connection.
  static let window = FrameType(rawValue: 0x43)
  /// The metadata with which the replies of a stream begin.
  static let headers = FrameType(rawValue: 0x44)
  /// The end of a reply stream: its status and trailing metadata.
  static let end = FrameType(rawValue: 0x45)
  /// The sender takes no more calls on this connection.
  static let goAway = FrameType(rawValue: 0x46)

  /// Whether frames of this type carry messages, and may come in fragments.
  var carriesMessages: Bool { self == .request || self == .response || self == .data }
}

/// Flags; unknown bits are ignored.
struct FrameFlags: OptionSet, Hashable, Sendable {
  let rawValue: UInt8

  /// The sender sends no more on this stream.
  static let remoteClosed = FrameFlags(rawValue: 0x01)
  /// The sender will send data on this stream.
  static let remoteOpen = FrameFlags(rawValue: 0x02)
  /// The payload is not a message.
  static let noData = FrameFlags(rawValue: 0x04)
  /// The payload goes on in the next frame of this type on this stream (extension).
  static let more = FrameFlags(rawValue: 0x08)
  /// Of a request: its call is served with the extensions.
  static let extended = FrameFlags(rawValue: 0x10)

  /// Of HELLO and PING: the answer to one.
  static let acknowledgement = FrameFlags(rawValue: 0x01)
}

/// A header with its payload.
struct Frame: Sendable, Hashable {
  var streamID: StreamID
  var type: FrameType
  var flags: FrameFlags = []
  var payload: [UInt8] = []
}
