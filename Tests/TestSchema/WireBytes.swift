/// Protobuf wire format, written by hand: also what no encoder would write.
package struct WireBytes {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  /// The bytes that `write` writes.
  package static func make(_ write: (inout WireBytes) -> Void) -> [UInt8] {
    var wire = WireBytes()
    write(&wire)
    return wire.bytes
  }

  package mutating func raw(_ bytes: [UInt8]) {
    self.bytes += bytes
  }

  package mutating func varint(_ value: UInt64) {
    var rest = value
    while rest > 0x7f {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// - Parameter type: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes; 3 and 4 begin and end a group.
  package mutating func tag(_ field: UInt64, type: UInt64) {
    varint(field << 3 | type)
  }

  package mutating func number(_ field: UInt64, _ value: UInt64) {
    tag(field, type: 0)
    varint(value)
  }

  package mutating func payload(_ field: UInt64, _ content: [UInt8]) {
    tag(field, type: 2)
    varint(UInt64(content.count))
    raw(content)
  }

  package mutating func text(_ field: UInt64, _ content: String) {
    payload(field, Array(content.utf8))
  }

  package mutating func message(_ field: UInt64, _ write: (inout WireBytes) -> Void) {
    payload(field, Self.make(write))
  }
}
