/// The payload of a Response frame: `status=1 google.rpc.Status, payload=2`. An absent status means OK, so that an empty
/// frame is OK with an empty message.
struct ResponseEnvelope: Hashable, Sendable {
  var error: RPCError?
  var payload: ArraySlice<UInt8> = []

  /// The bytes of the envelope of a reply without an error.
  static func byteCount(ofReply count: Int) -> Int { [UInt8].byteCount(ofField: count) }

  /// Appends the envelope to `bytes`; an error is made to fit (`RPCError.fittedForWire`).
  func append(to bytes: inout [UInt8]) {
    if let error = error?.fittedForWire() { bytes.appendMessage(1) { Self.append(error, to: &$0) } }
    bytes.appendField(2, payload)
  }

  /// `google.rpc.Status {code=1 int32, message=2 string, details=3 repeated Any {type_url=1, value=2}}`.
  private static func append(_ error: RPCError, to bytes: inout [UInt8]) {
    bytes.appendField(1, varint: UInt64(bitPattern: Int64(error.code.rawValue)))
    bytes.appendField(2, error.message.utf8)
    for detail in error.details {
      bytes.appendMessage(3) { any in
        any.appendField(1, detail.typeURL.utf8)
        any.appendField(2, detail.value)
      }
    }
  }
}

extension ResponseEnvelope {
  /// Reads `bytes`, ignoring unknown fields. Of a field that occurs twice the last counts.
  init(parsing bytes: ArraySlice<UInt8>) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): error = try Self.status(bytes[range])
      case .bytes(number: 2, let range): payload = bytes[range]
      default: break
      }
    }
  }

  private static func status(_ bytes: ArraySlice<UInt8>) throws(EnvelopeError) -> RPCError? {
    var reader = FieldReader(bytes)
    var code = StatusCode.ok
    var message = ""
    var details: [ErrorDetail] = []
    while let field = try reader.next() {
      switch field {
      case .varint(number: 1, let value): code = StatusCode(rawValue: Int32(truncatingIfNeeded: value))
      // Repaired rather than refused: the code matters more than the text of a sloppy peer.
      case .bytes(number: 2, let range): message = String(decoding: bytes[range], as: UTF8.self)
      case .bytes(number: 3, let range) where details.count < RPCError.maximumDetails:
        details.append(try detail(bytes[range]))
      default: break
      }
    }
    return code == .ok ? nil : RPCError(code, message, details: details)
  }

  private static func detail(_ bytes: ArraySlice<UInt8>) throws(EnvelopeError) -> ErrorDetail {
    var reader = FieldReader(bytes)
    var detail = ErrorDetail(typeURL: "", value: [])
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): detail.typeURL = try reader.text(range)
      case .bytes(number: 2, let range): detail.value = [UInt8](bytes[range])
      default: break
      }
    }
    return detail
  }
}
