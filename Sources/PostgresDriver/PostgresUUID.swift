/// A universally unique identifier: 16 bytes, as PostgreSQL's type `uuid` keeps them.
public struct PostgresUUID: Hashable, Sendable, Comparable, LosslessStringConvertible {
  /// The first eight bytes, big endian.
  public let high: UInt64
  /// The last eight bytes, big endian.
  public let low: UInt64

  /// An identifier from its two halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A random identifier: version 4 of RFC 9562.
  public static func random(using generator: inout some RandomNumberGenerator) -> PostgresUUID {
    PostgresUUID(
      high: generator.next() & 0xffff_ffff_ffff_0fff | 0x4000,
      low: generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
  }

  /// An identifier from 32 hexadecimal digits with or without the four hyphens of the usual form; nil for other text.
  public init?(_ text: String) {
    var halves: [UInt64] = [0, 0]
    var digits = 0
    for (index, byte) in text.utf8.enumerated() {
      if byte == UInt8(ascii: "-") {
        guard text.utf8.count == 36, [8, 13, 18, 23].contains(index) else { return nil }
        continue
      }
      guard digits < 32, let value = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
      halves[digits / 16] = halves[digits / 16] << 4 | UInt64(value)
      digits += 1
    }
    guard digits == 32, [32, 36].contains(text.utf8.count) else { return nil }
    self.init(high: halves[0], low: halves[1])
  }

  /// The usual form in lower case, such as `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(36)
    for index in 0..<32 {
      if [8, 12, 16, 20].contains(index) { text.append(UInt8(ascii: "-")) }
      let half = index < 16 ? high : low
      text.append(digits[Int(half >> UInt64(60 - index % 16 * 4) & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Orders as PostgreSQL does: by the bytes.
  public static func < (left: PostgresUUID, right: PostgresUUID) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}
