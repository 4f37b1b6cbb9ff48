/// The payload of a HELLO frame: what its sender takes. `version=1, features=2, maximum_frame=3, maximum_message=4,
/// stream_window=5, connection_window=6, maximum_calls=7, minimum_ping_interval_ms=8`, all varints.
///
/// A field that is absent has the value that holds before any HELLO.
struct Hello: Hashable, Sendable {
  /// The version that is spoken here. A newer peer is spoken to in this one.
  static let currentVersion: UInt64 = 1

  var version = currentVersion
  /// Bits of what is understood beyond the version; none is defined.
  var features: UInt64 = 0
  /// The largest payload of one frame, in bytes.
  var maximumFrame = 4 * 1024 * 1024
  /// The largest message, in bytes, put together from fragments.
  var maximumMessage = 4 * 1024 * 1024
  /// With how much credit each stream begins, in bytes of data.
  var streamWindow = initialStreamWindow
  /// With how much credit the connection begins.
  var connectionWindow = initialStreamWindow
  /// The most calls at a time, those that wait included; 0 for a client, which takes none.
  var maximumCalls = 0
  /// How far apart pings are that do not count as abuse, in milliseconds.
  var minimumPingInterval = 0

  /// The credit of a stream before its peer's HELLO has come.
  static let initialStreamWindow = 64 * 1024
  /// What a peer at least takes in one frame; less is read as this. A fragment is half of it at most, and a request that is
  /// not cut has room for its metadata.
  static let leastFrame = 128 * 1024

  /// Appends the message.
  func append(to bytes: inout [UInt8]) {
    bytes.appendField(1, varint: version)
    bytes.appendField(2, varint: features)
    bytes.appendField(3, varint: UInt64(maximumFrame))
    bytes.appendField(4, varint: UInt64(maximumMessage))
    bytes.appendField(5, varint: UInt64(streamWindow))
    bytes.appendField(6, varint: UInt64(connectionWindow))
    bytes.appendField(7, varint: UInt64(maximumCalls))
    bytes.appendField(8, varint: UInt64(minimumPingInterval))
  }
}

extension Hello {
  /// Reads `bytes`, ignoring unknown fields; numbers that are too large or too small are brought into range.
  init(parsing bytes: ArraySlice<UInt8>) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    while let field = try reader.next() {
      guard case .varint(let number, let value) = field else { continue }
      let bounded = Int(min(value, UInt64(Int32.max)))
      switch number {
      case 1: version = value
      case 2: features = value
      case 3: maximumFrame = max(bounded, Self.leastFrame)
      case 4: maximumMessage = max(bounded, 1)
      case 5: streamWindow = max(bounded, 1)
      case 6: connectionWindow = max(bounded, 1)
      case 7: maximumCalls = bounded
      case 8: minimumPingInterval = bounded
      default: break
      }
    }
    guard version > 0 else { throw EnvelopeError(reason: "a HELLO without a version") }
  }
}
