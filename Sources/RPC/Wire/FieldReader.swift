/// Reads the fields of a protobuf message from a slice, as far as the ttrpc envelopes need them. Every read is checked;
/// what does not fit throws `EnvelopeError`.
struct FieldReader {
  /// One field: a number and a varint, or a number and where its bytes are. Fixed-width fields, which no envelope has, are
  /// skipped; groups, which proto3 does not have, are refused.
  enum Field {
    case varint(number: UInt32, UInt64)
    case bytes(number: UInt32, Range<Int>)
  }

  let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The next field, nil at the end.
  mutating func next() throws(EnvelopeError) -> Field? {
    while position < bytes.endIndex {
      let tag = try varint()
      guard let tag = UInt32(exactly: tag), tag >> 3 != 0 else { throw EnvelopeError(reason: "bad field number") }
      switch tag & 7 {
      case 0: return .varint(number: tag >> 3, try varint())
      case 2:
        let length = try varint()
        guard length <= UInt64(bytes.endIndex - position) else { throw EnvelopeError(reason: "truncated field") }
        defer { position += Int(length) }
        return .bytes(number: tag >> 3, position..<position + Int(length))
      case 1: try skip(8)
      case 5: try skip(4)
      default: throw EnvelopeError(reason: "wire type \(tag & 7)")
      }
    }
    return nil
  }

  /// The text in `range`; throws if it is not UTF-8 or has a NUL.
  func text(_ range: Range<Int>) throws(EnvelopeError) -> String {
    guard let text = String(validating: bytes[range], as: UTF8.self) else {
      throw EnvelopeError(reason: "text that is not UTF-8")
    }
    guard !bytes[range].contains(0) else { throw EnvelopeError(reason: "NUL in a text") }
    return text
  }

  private mutating func varint() throws(EnvelopeError) -> UInt64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.endIndex {
      let byte = bytes[position]
      position += 1
      // The tenth byte holds the last bit, and ends the number.
      if shift == 63, byte > 1 { throw EnvelopeError(reason: "varint above 64 bits") }
      result |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return result }
      shift += 7
    }
    throw EnvelopeError(reason: "truncated varint")
  }

  private mutating func skip(_ count: Int) throws(EnvelopeError) {
    guard bytes.endIndex - position >= count else { throw EnvelopeError(reason: "truncated field") }
    position += count
  }
}

/// A request or response envelope that cannot be read, or is above a limit.
struct EnvelopeError: Error, Hashable {
  /// What a server answers.
  var code = StatusCode.invalidArgument
  /// What was wrong with it.
  let reason: String
}
