internal import CProtobufC

/// Checks wire-format bytes against a message type before libprotobuf-c unpacks them.
///
/// libprotobuf-c recurses without bound, accepts invalid UTF-8, keeps a NUL in a string so that C sees it cut, and
/// believes the counts it reads. What passes here it can unpack safely, and means the same to every protobuf reader.
struct WireValidator {
  private let limits: DecodeLimits
  private var elementCount = 0
  private var unknownFieldCount = 0
  private var hasDuplicateMessages = false

  init(limits: DecodeLimits) {
    self.limits = limits
  }

  /// Whether the bytes must be rewritten before libprotobuf-c sees them.
  ///
  /// It mishandles a singular message field that occurs twice: two messages whose oneof is not set fail to merge, and
  /// proto3 scalars of the first get lost. And it copies unknown fields, at 100 bytes of memory for as little as two.
  var needsNormalizing: Bool { hasDuplicateMessages || unknownFieldCount > 64 }

  /// Checks one message and those in it.
  mutating func validate(
    _ bytes: borrowing Span<UInt8>, in range: Range<Int>, as type: MessageDescriptor, depth: Int = 1
  ) throws(ProtobufError) {
    guard depth <= limits.maximumDepth else {
      throw ProtobufError(.tooDeep, "messages are nested more than \(limits.maximumDepth) deep")
    }
    let fields = type.fields
    var cursor = WireCursor(range)
    var fieldIndex = 0
    var messagesSeen: UInt64 = 0
    while !cursor.isAtEnd {
      let tag = try cursor.tag(in: bytes)
      guard let index = type.index(ofField: tag.field, near: fieldIndex) else {
        unknownFieldCount += 1
        do { try cursor.skip(tag.type, in: bytes) } catch { throw error.inside("#\(tag.field)") }
        continue
      }
      fieldIndex = index
      let field = fields.baseAddress! + index
      do {
        try validate(bytes, at: &cursor, field, tag.type, depth: depth)
      } catch {
        throw error.inside(field.pointee.swiftName)
      }
      if field.pointee.type == PROTOBUF_C_TYPE_MESSAGE, !field.pointee.isRepeated {
        // Beyond 64 fields two may share a bit; then the bytes are normalised once more than necessary.
        let bit: UInt64 = 1 << UInt64(index & 63)
        hasDuplicateMessages = hasDuplicateMessages || messagesSeen & bit != 0
        messagesSeen |= bit
      }
    }
  }

  private mutating func validate(
    _ bytes: borrowing Span<UInt8>, at cursor: inout WireCursor, _ field: UnsafePointer<ProtobufCFieldDescriptor>,
    _ wireType: WireType, depth: Int
  ) throws(ProtobufError) {
    let type = field.pointee.type
    guard wireType == type.wireType else {
      // A repeated scalar may come packed, whether or not it is declared so.
      guard wireType == .lengthDelimited, field.pointee.isRepeated else {
        guard wireType != .startGroup, wireType != .endGroup else {
          throw ProtobufError(.group, "groups are not supported")
        }
        throw ProtobufError(.malformed, "wire type \(wireType) where \(type.wireType) is expected")
      }
      let payload = try cursor.payload(in: bytes)
      return try count(packedElements(bytes, in: payload, type.wireType))
    }
    if field.pointee.isRepeated { try count(1) }
    guard wireType == .lengthDelimited else { return try cursor.skip(wireType, in: bytes) }
    let payload = try cursor.payload(in: bytes)
    switch type {
    case PROTOBUF_C_TYPE_STRING: try TextRules.check(bytes, in: payload)
    case PROTOBUF_C_TYPE_MESSAGE:
      try validate(bytes, in: payload, as: field.pointee.messageType, depth: depth + 1)
    default: break
    }
  }

  private func packedElements(
    _ bytes: borrowing Span<UInt8>, in payload: Range<Int>, _ type: WireType
  ) throws(ProtobufError) -> Int {
    guard type == .varint else {
      let width = type == .fixed32 ? 4 : 8
      guard payload.count % width == 0 else {
        throw ProtobufError(.malformed, "\(payload.count) packed bytes are no multiple of \(width)")
      }
      return payload.count / width
    }
    // Each varint ends with the first byte below 0x80; ten bytes hold 64 bits, one of them in the tenth.
    var count = 0
    var length = 0
    for index in payload {
      let byte = bytes[index]
      guard length < 9 || byte <= 1 else {
        throw ProtobufError(.malformed, "the varint at byte \(index - length) is longer than its type allows")
      }
      length = byte < 0x80 ? 0 : length + 1
      count += byte < 0x80 ? 1 : 0
    }
    guard length == 0 else {
      throw ProtobufError(.truncated, "the varint at byte \(payload.upperBound - length) has no end")
    }
    return count
  }

  private mutating func count(_ elements: Int) throws(ProtobufError) {
    elementCount += elements
    guard elementCount <= limits.maximumRepeatedCount else {
      throw ProtobufError(.tooManyElements, "repeated fields hold more than \(limits.maximumRepeatedCount) elements")
    }
  }
}

extension ProtobufCType {
  /// The wire type of one value.
  fileprivate var wireType: WireType {
    switch self {
    case PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT: .fixed32
    case PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE: .fixed64
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: .lengthDelimited
    default: .varint
    }
  }
}
