/// The wire type of a field, the low three bits of its tag.
///
/// Source: <https://protobuf.dev/programming-guides/encoding/#structure>.
package enum WireType: UInt8 {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case startGroup = 3
  case endGroup = 4
  case fixed32 = 5
}

/// A position in wire-format bytes, which are passed to each call.
///
/// It refuses whatever libprotobuf-c 1.4.1 would misread: in particular tags of more than 32 bits, field number 0, and
/// varints of more than 64 bits.
package struct WireCursor {
  /// The greatest field number that protobuf allows.
  static let greatestFieldNumber: UInt64 = 1 << 29 - 1

  package private(set) var position: Int
  let end: Int

  package init(_ range: Range<Int>) {
    position = range.lowerBound
    end = range.upperBound
  }

  package var isAtEnd: Bool { position == end }

  @inline(__always)
  package mutating func tag(in bytes: borrowing Span<UInt8>) throws(ProtobufError) -> (field: UInt32, type: WireType) {
    if position < end, (8..<0x80).contains(bytes[position]), let type = WireType(rawValue: bytes[position] & 7) {
      position += 1
      return (UInt32(bytes[position - 1] >> 3), type)
    }
    return try longTag(in: bytes)
  }

  private mutating func longTag(
    in bytes: borrowing Span<UInt8>
  ) throws(ProtobufError) -> (field: UInt32, type: WireType) {
    let start = position
    let key = try varint(in: bytes, maximumLength: 5)
    let number = key >> 3
    guard number != 0, number <= Self.greatestFieldNumber else {
      throw ProtobufError(.malformed, "field number \(number) at byte \(start) is not from 1 to 536870911")
    }
    guard let type = WireType(rawValue: UInt8(key & 7)) else {
      throw ProtobufError(.malformed, "wire type \(key & 7) of field number \(number) does not exist")
    }
    return (UInt32(number), type)
  }

  /// - Parameter maximumLength: in bytes. libprotobuf-c reads at most 5 bytes of a tag or length, 10 of a value.
  @inline(__always)
  package mutating func varint(in bytes: borrowing Span<UInt8>, maximumLength: Int = 10) throws(ProtobufError) -> UInt64
  {
    if position < end, bytes[position] < 0x80 {
      position += 1
      return UInt64(bytes[position - 1])
    }
    return try longVarint(in: bytes, maximumLength: maximumLength)
  }

  private mutating func longVarint(
    in bytes: borrowing Span<UInt8>, maximumLength: Int
  ) throws(ProtobufError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end, position - start < maximumLength {
      let byte = bytes[position]
      position += 1
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    if position == end, position - start < maximumLength {
      throw ProtobufError(.truncated, "the varint at byte \(start) has no end")
    }
    throw ProtobufError(.malformed, "the varint at byte \(start) is longer than its type allows")
  }

  /// The bytes of a length-delimited field, passed over.
  package mutating func payload(in bytes: borrowing Span<UInt8>) throws(ProtobufError) -> Range<Int> {
    let count = try varint(in: bytes, maximumLength: 5)
    return try advance(count)
  }

  /// Passes over a value of any wire type but a group.
  package mutating func skip(_ type: WireType, in bytes: borrowing Span<UInt8>) throws(ProtobufError) {
    switch type {
    case .varint: _ = try varint(in: bytes)
    case .fixed64: _ = try advance(8)
    case .fixed32: _ = try advance(4)
    case .lengthDelimited: _ = try payload(in: bytes)
    case .startGroup, .endGroup: throw ProtobufError(.group, "groups are not supported")
    }
  }

  private mutating func advance(_ count: UInt64) throws(ProtobufError) -> Range<Int> {
    let start = position
    guard count <= UInt64(end - start) else {
      throw ProtobufError(.truncated, "\(count) bytes announced at byte \(start), \(end - start) left")
    }
    position += Int(count)
    return start..<position
  }
}
