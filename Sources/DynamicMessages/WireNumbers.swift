import ProtobufRuntime

// Source: https://protobuf.dev/programming-guides/encoding/

/// Varints that stand one after another.
struct PackedVarints {
  let values: [UInt64]

  init(_ bytes: ArraySlice<UInt8>) throws(DynamicMessageError) {
    do throws(ProtobufError) {
      var values: [UInt64] = []
      var cursor = WireCursor(0..<bytes.count)
      let span = bytes.span
      while !cursor.isAtEnd { values.append(try cursor.varint(in: span)) }
      self.values = values
    } catch {
      throw DynamicMessageError(error.reason)
    }
  }
}

extension FieldType.Kind {
  /// How many bytes each value takes; nil for varints and what has a length.
  private var width: Int? {
    switch self {
    case .double, .fixed64, .sfixed64: 8
    case .float, .fixed32, .sfixed32: 4
    default: nil
    }
  }

  /// The elements of a block.
  func unpacked(_ block: ArraySlice<UInt8>) throws(DynamicMessageError) -> [WireField] {
    guard let width else {
      return try PackedVarints(block).values.map { WireField(number: 0, value: .varint($0)) }
    }
    guard block.count % width == 0 else {
      throw DynamicMessageError("\(block.count) bytes are not a whole number of elements of \(width) bytes")
    }
    return stride(from: block.startIndex, to: block.endIndex, by: width).map { start in
      let bits = block[start..<start + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return WireField(number: 0, value: width == 8 ? .fixed64(bits) : .fixed32(UInt32(truncatingIfNeeded: bits)))
    }
  }
}

extension UInt64 {
  /// The signed number that it stands for in a `sint` field.
  var zigZagDecoded: Int64 { Int64(bitPattern: self >> 1) ^ -Int64(bitPattern: self & 1) }
}

extension Int64 {
  /// As a `sint` field has it.
  var zigZagEncoded: UInt64 { UInt64(bitPattern: self << 1 ^ self >> 63) }
}

extension [UInt8] {
  mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  mutating func append<Number: FixedWidthInteger>(fixed value: Number) {
    for shift in stride(from: 0, to: Number.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func append(field number: UInt32, wireType: UInt64) { append(varint: UInt64(number) << 3 | wireType) }

  mutating func append(field number: UInt32, block: [UInt8]) {
    append(field: number, wireType: 2)
    append(varint: UInt64(block.count))
    self += block
  }
}
