internal import CProtobufC

/// Rewrites a valid message so that libprotobuf-c unpacks it as protobuf prescribes: without unknown fields, and with
/// each singular message field once.
///
/// Protobuf defines that two occurrences of a singular message field merge exactly as their concatenated bytes would
/// decode (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>), so they are concatenated. A later member
/// of the same oneof discards an earlier one.
///
/// The input must have passed ``WireValidator``. All memory comes from the arena, and with it is bounded and wiped.
struct WireNormalizer {
  let arena: Arena

  /// The rewritten message, never longer than the original, in memory of the arena.
  func normalize(
    _ bytes: UnsafeBufferPointer<UInt8>, as type: MessageDescriptor
  ) throws(ProtobufError) -> UnsafeBufferPointer<UInt8> {
    var output = try Output(capacity: bytes.count, in: arena)
    var pieces: [Int: [Range<Int>]] = [:]
    var memberOfOneof: [UInt32: Int] = [:]
    var cursor = WireCursor(bytes.indices)
    var fieldIndex = 0
    while !cursor.isAtEnd {
      let start = cursor.position
      let tag = try cursor.tag(in: bytes.span)
      guard let index = type.index(ofField: tag.field, near: fieldIndex) else {
        try cursor.skip(tag.type, in: bytes.span)
        continue
      }
      fieldIndex = index
      let field = type.fields[index]
      if field.isMember, let previous = memberOfOneof.updateValue(index, forKey: field.quantifier_offset),
        previous != index
      {
        pieces[previous] = nil
      }
      guard field.type == PROTOBUF_C_TYPE_MESSAGE else {
        try cursor.skip(tag.type, in: bytes.span)
        output.append(UnsafeBufferPointer(rebasing: bytes[start..<cursor.position]))
        continue
      }
      let payload = try cursor.payload(in: bytes.span)
      if field.isRepeated {
        let element = UnsafeBufferPointer(rebasing: bytes[payload])
        output.append(field: tag.field, try normalize(element, as: field.messageType))
      } else {
        pieces[index, default: []].append(payload)
      }
    }
    for (index, ranges) in pieces.sorted(by: { $0.key < $1.key }) {
      let field = type.fields[index]
      let merged = try concatenate(ranges.map { UnsafeBufferPointer(rebasing: bytes[$0]) })
      output.append(field: field.id, try normalize(merged, as: field.messageType))
    }
    return output.bytes
  }

  private func concatenate(
    _ parts: [UnsafeBufferPointer<UInt8>]
  ) throws(ProtobufError) -> UnsafeBufferPointer<UInt8> {
    if parts.count == 1 { return parts[0] }
    var output = try Output(capacity: parts.reduce(0) { $0 + $1.count }, in: arena)
    for part in parts { output.append(part) }
    return output.bytes
  }
}

extension WireNormalizer {
  /// Bytes being written into memory of the arena.
  private struct Output {
    private let start: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private var count = 0

    init(capacity: Int, in arena: Arena) throws(ProtobufError) {
      guard let start = arena.allocate(UInt8.self, count: capacity) else { throw arena.exhaustion }
      self.start = start
      self.capacity = capacity
    }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    mutating func append(_ source: UnsafeBufferPointer<UInt8>) {
      precondition(source.count <= capacity - count, "a normalised message outgrew the original")
      if let base = source.baseAddress { (start + count).update(from: base, count: source.count) }
      count += source.count
    }

    mutating func append(field number: UInt32, _ payload: UnsafeBufferPointer<UInt8>) {
      append(varint: UInt64(number) << 3 | UInt64(WireType.lengthDelimited.rawValue))
      append(varint: UInt64(payload.count))
      append(payload)
    }

    private mutating func append(varint value: UInt64) {
      var rest = value
      repeat {
        precondition(count < capacity, "a normalised message outgrew the original")
        start[count] = UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0)
        count += 1
        rest >>= 7
      } while rest != 0
    }
  }
}
