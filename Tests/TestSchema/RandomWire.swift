internal import CProtobufC
package import ProtobufRuntime

/// Random valid messages of any type, in wire format, made from nothing but the type's descriptor.
package struct RandomWire {
  /// How far the bytes stray from what an encoder writes.
  package enum Style {
    /// Fields in the order of their numbers, each once, one member of each oneof, declared packing.
    case canonical
    /// Fields in any order, singular fields repeated, several members of a oneof, either packing, split arrays.
    case wild
  }

  private var random: SplitMix64
  private let style: Style
  private let deepest: Int

  package init(seed: UInt64, style: Style, deepest: Int = 4) {
    random = SplitMix64(seed: seed)
    self.style = style
    self.deepest = deepest
  }

  package mutating func message(_ type: any CMessageConvertible.Type) -> [UInt8] {
    message(type.descriptor, depth: 1)
  }

  private mutating func message(_ type: MessageDescriptor, depth: Int) -> [UInt8] {
    var fields = type.fields.filter { _ in Bool.random(using: &random) }
    switch style {
    case .canonical: fields = oneMemberPerOneof(fields)
    case .wild:
      fields += fields.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
      fields.shuffle(using: &random)
    }
    var wire = WireBytes()
    for field in fields { append(field, to: &wire, depth: depth) }
    return wire.bytes
  }

  private mutating func oneMemberPerOneof(_ fields: [ProtobufCFieldDescriptor]) -> [ProtobufCFieldDescriptor] {
    var members: [UInt32: UInt32] = [:]
    for field in fields.shuffled(using: &random) where field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0 {
      members[field.quantifier_offset] = field.id
    }
    return fields.filter {
      $0.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue == 0 || members[$0.quantifier_offset] == $0.id
    }
  }

  private mutating func append(_ field: ProtobufCFieldDescriptor, to wire: inout WireBytes, depth: Int) {
    if field.type == PROTOBUF_C_TYPE_MESSAGE, depth >= deepest { return }
    let isRepeated = field.label == PROTOBUF_C_LABEL_REPEATED
    let count = isRepeated ? Int.random(in: 0...4, using: &random) : 1
    var isPacked = field.flags & PROTOBUF_C_FIELD_FLAG_PACKED.rawValue != 0
    if style == .wild, isRepeated, field.type.isPackable { isPacked = Bool.random(using: &random) }
    guard isPacked else {
      for _ in 0..<count {
        wire.tag(UInt64(field.id), type: field.type.wireTypeNumber)
        value(field, to: &wire, depth: depth)
      }
      return
    }
    guard count > 0 || style == .wild else { return }
    var elements = WireBytes()
    for _ in 0..<count { value(field, to: &elements, depth: depth) }
    wire.payload(UInt64(field.id), elements.bytes)
  }

  private mutating func value(_ field: ProtobufCFieldDescriptor, to wire: inout WireBytes, depth: Int) {
    let bits = interestingNumber()
    switch field.type {
    case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_ENUM:
      wire.varint(UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits))))
    case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_SINT32: wire.varint(UInt64(UInt32(truncatingIfNeeded: bits)))
    case PROTOBUF_C_TYPE_BOOL: wire.varint(bits & 1)
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: wire.raw(littleEndian(bits, count: 4))
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: wire.raw(littleEndian(bits, count: 8))
    case PROTOBUF_C_TYPE_FLOAT:
      wire.raw(littleEndian(UInt64(Float(Int16(truncatingIfNeeded: bits)).bitPattern), count: 4))
    case PROTOBUF_C_TYPE_DOUBLE:
      wire.raw(littleEndian((Double(Int32(truncatingIfNeeded: bits)) / 8).bitPattern, count: 8))
    case PROTOBUF_C_TYPE_STRING: wire.delimited(text())
    case PROTOBUF_C_TYPE_BYTES: wire.delimited(bytes())
    case PROTOBUF_C_TYPE_MESSAGE:
      let type = MessageDescriptor(field.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
      wire.delimited(message(type, depth: depth + 1))
    default: wire.varint(bits)
    }
  }

  /// Small numbers, limits and anything. Zero, which an encoder leaves out, only in the wild.
  private mutating func interestingNumber() -> UInt64 {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: UInt64.random(in: (style == .wild ? 0 : 1)...3, using: &random)
    case 1: [0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, .max].randomElement(using: &random)!
    default: UInt64.random(in: 1...UInt64.max, using: &random) | 1
    }
  }

  private mutating func text() -> [UInt8] {
    let letters: [Character] = ["a", "Z", " ", "ß", "€", "𝔸", "\u{1}", "\u{7f}", "é"]
    let count = Int.random(in: 1...20, using: &random)
    return Array(String((0..<count).map { _ in letters.randomElement(using: &random)! }).utf8)
  }

  private mutating func bytes() -> [UInt8] {
    let count = Int.random(in: 1...40, using: &random)
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  private func littleEndian(_ bits: UInt64, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt64($0))) }
  }
}

extension WireBytes {
  fileprivate mutating func delimited(_ content: [UInt8]) {
    varint(UInt64(content.count))
    raw(content)
  }
}

extension ProtobufCType {
  fileprivate var isPackable: Bool { wireTypeNumber != 2 }

  fileprivate var wireTypeNumber: UInt64 {
    switch self {
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: 5
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: 1
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: 2
    default: 0
    }
  }
}
