import ProtobufRuntime

/// One field of a message in wire format.
struct WireField {
  enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  var number: UInt32
  var value: Value

  /// All fields of a message, in their order.
  static func all(of bytes: ArraySlice<UInt8>) throws(DynamicMessageError) -> [WireField] {
    do throws(ProtobufError) {
      var fields: [WireField] = []
      var cursor = WireCursor(0..<bytes.count)
      let span = bytes.span
      while !cursor.isAtEnd {
        let (number, type) = try cursor.tag(in: span)
        fields.append(WireField(number: number, value: try value(type, &cursor, bytes)))
      }
      return fields
    } catch {
      throw DynamicMessageError(error.reason)
    }
  }

  private static func value(
    _ type: WireType, _ cursor: inout WireCursor, _ bytes: ArraySlice<UInt8>
  ) throws(ProtobufError) -> Value {
    let span = bytes.span
    switch type {
    case .varint: return .varint(try cursor.varint(in: span))
    case .lengthDelimited:
      let range = try cursor.payload(in: span)
      return .bytes(bytes[(bytes.startIndex + range.lowerBound)..<(bytes.startIndex + range.upperBound)])
    default:
      let start = bytes.startIndex + cursor.position
      try cursor.skip(type, in: span)
      let content = bytes[start..<(bytes.startIndex + cursor.position)]
      let number = content.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return type == .fixed64 ? .fixed64(number) : .fixed32(UInt32(truncatingIfNeeded: number))
    }
  }

  var unsigned: UInt64 { if case .varint(let value) = value { value } else { 0 } }
  var content: ArraySlice<UInt8> { if case .bytes(let bytes) = value { bytes } else { [] } }
  var text: String { String(decoding: content, as: UTF8.self) }
}

extension [WireField] {
  /// The last field of this number: the one that counts.
  func last(_ number: UInt32) -> WireField? { last(where: { $0.number == number }) }
}
