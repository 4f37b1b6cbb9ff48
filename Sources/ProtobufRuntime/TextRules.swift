/// What a string field may hold: valid UTF-8 without NUL, so that C and Swift see the same text.
enum TextRules {
  static func check(_ bytes: borrowing Span<UInt8>, in range: Range<Int>) throws(ProtobufError) {
    let (hasNUL, isASCII) = scan(bytes, in: range)
    guard !hasNUL else { throw embeddedNUL }
    guard !isASCII else { return }
    do {
      _ = try UTF8Span(validating: bytes.extracting(range))
    } catch {
      throw ProtobufError(
        .invalidUTF8, "invalid UTF-8 at byte \(error.byteOffsets.lowerBound) of \(range.count)")
    }
  }

  /// Looks at eight bytes at a time: most strings are short and ASCII.
  private static func scan(
    _ bytes: borrowing Span<UInt8>, in range: Range<Int>
  ) -> (hasNUL: Bool, isASCII: Bool) {
    let highBits: UInt64 = 0x8080_8080_8080_8080
    var union: UInt64 = 0
    var zeros: UInt64 = 0
    var position = range.lowerBound
    while position + 8 <= range.upperBound {
      let word = bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
      union |= word
      // A high bit is set for the lowest zero byte, and for none if there is no zero byte.
      zeros |= (word &- 0x0101_0101_0101_0101) & ~word & highBits
      position += 8
    }
    while position < range.upperBound {
      let byte = bytes[position]
      union |= UInt64(byte)
      if byte == 0 { zeros = 1 }
      position += 1
    }
    return (zeros != 0, union & highBits == 0)
  }

  static var embeddedNUL: ProtobufError {
    ProtobufError(.embeddedNUL, "a string must not hold NUL; use a bytes field")
  }
}
