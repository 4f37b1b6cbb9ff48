/// Writes the DER of keys (X.690): the counterpart of ``DERCursor``. Sizes are computed first, so that a private key is
/// written once, into memory of its exact size.
enum DERWriter {
  /// The size of an element with a content of `count` bytes.
  static func size(ofContent count: Int) -> Int {
    1 + lengthBytes(count) + count
  }

  /// The size of the element for the unsigned big-endian integer in `digits` of `bytes`.
  static func size(ofUnsigned digits: Range<Int>, in bytes: Span<UInt8>) -> Int {
    let shortest = significant(digits, in: bytes)
    return size(ofContent: shortest.count + (needsZero(shortest, in: bytes) ? 1 : 0))
  }

  /// The size of the INTEGER 0, the version of every private key.
  static let zeroSize = 3

  /// The INTEGER 0.
  static func writeZero(in output: inout OutputSpan<UInt8>) {
    begin(.integer, content: 1, in: &output)
    output.append(0)
  }

  /// A tag and a length, for a content of `count` bytes that the caller appends.
  static func begin(_ tag: DERCursor.Tag, content count: Int, in output: inout OutputSpan<UInt8>) {
    output.append(tag.rawValue)
    if count < 0x80 {
      output.append(UInt8(count))
    } else {
      let following = lengthBytes(count) - 1
      output.append(0x80 | UInt8(following))
      for shift in stride(from: 8 * (following - 1), through: 0, by: -8) {
        output.append(UInt8(truncatingIfNeeded: count >> shift))
      }
    }
  }

  /// An INTEGER in its shortest form, whatever zeroes lead the digits.
  static func write(unsigned digits: Range<Int>, of bytes: Span<UInt8>, in output: inout OutputSpan<UInt8>) {
    let shortest = significant(digits, in: bytes)
    let zero = needsZero(shortest, in: bytes)
    begin(.integer, content: shortest.count + (zero ? 1 : 0), in: &output)
    if zero { output.append(0) }
    output.append(copying: bytes.extracting(shortest))
  }

  /// Without the zeroes that lead; none of these numbers is secret in its length.
  private static func significant(_ digits: Range<Int>, in bytes: Span<UInt8>) -> Range<Int> {
    (digits.first { bytes[$0] != 0 } ?? digits.upperBound)..<digits.upperBound
  }

  /// A zero keeps the top bit of an unsigned number clear, and zero itself from being empty.
  private static func needsZero(_ shortest: Range<Int>, in bytes: Span<UInt8>) -> Bool {
    shortest.isEmpty || bytes[shortest.lowerBound] >= 0x80
  }

  private static func lengthBytes(_ count: Int) -> Int {
    switch count {
    case ..<0x80: 1
    case ..<0x100: 2
    case ..<0x1_0000: 3
    default: 4
    }
  }
}
