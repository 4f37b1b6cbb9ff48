/// The payload of a GOAWAY frame: `last_id=1, code=2, message=3`. Calls above the last id were not looked at and can be made
/// elsewhere; those up to it go on.
struct GoAway: Hashable, Sendable {
  var lastID = StreamID.none
  var code = StatusCode.unavailable
  var message = ""

  /// Appends the message.
  func append(to bytes: inout [UInt8]) {
    bytes.appendField(1, varint: UInt64(lastID.rawValue))
    bytes.appendField(2, varint: UInt64(bitPattern: Int64(code.rawValue)))
    bytes.appendField(3, message.utf8)
  }
}

extension GoAway {
  /// Reads `bytes`, ignoring unknown fields.
  init(parsing bytes: ArraySlice<UInt8>) throws(EnvelopeError) {
    code = .ok
    var reader = FieldReader(bytes)
    while let field = try reader.next() {
      switch field {
      case .varint(number: 1, let value): lastID = StreamID(UInt32(truncatingIfNeeded: value))
      case .varint(number: 2, let value): code = StatusCode(rawValue: Int32(truncatingIfNeeded: value))
      case .bytes(number: 3, let range): message = String(decoding: bytes[range].prefix(1024), as: UTF8.self)
      default: break
      }
    }
  }
}
