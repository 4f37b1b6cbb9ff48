extension [UInt8] {
  /// Appends an error, made to fit (`RPCError.fittedForWire`), as `google.rpc.Status {code=1 int32, message=2 string,
  /// details=3 repeated Any {type_url=1, value=2}}`; nothing for none, which is OK.
  mutating func appendStatus(_ number: UInt64, _ error: RPCError?) {
    guard let error = error?.fittedForWire() else { return }
    appendMessage(number) { status in
      status.appendField(1, varint: UInt64(bitPattern: Int64(error.code.rawValue)))
      status.appendField(2, error.message.utf8)
      for detail in error.details {
        status.appendMessage(3) { any in
          any.appendField(1, detail.typeURL.utf8)
          any.appendField(2, detail.value)
        }
      }
    }
  }
}

extension RPCError {
  /// Reads a `google.rpc.Status`; nil for OK.
  static func status(parsing bytes: ArraySlice<UInt8>) throws(EnvelopeError) -> RPCError? {
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
        details.append(try ErrorDetail(parsing: bytes[range]))
      default: break
      }
    }
    return code == .ok ? nil : RPCError(code, message, details: details)
  }
}

extension ErrorDetail {
  fileprivate init(parsing bytes: ArraySlice<UInt8>) throws(EnvelopeError) {
    self.init(typeURL: "", value: [])
    var reader = FieldReader(bytes)
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): typeURL = try reader.text(range)
      case .bytes(number: 2, let range): value = [UInt8](bytes[range])
      default: break
      }
    }
  }
}
