extension Metadata {
  /// Appends a pair whose value is bytes; `key` must end in `-bin`. They travel as unpadded base64, as gRPC recommends.
  public mutating func add(bytes: [UInt8], for key: String) {
    precondition(key.isBinaryKey, "the key of a binary value ends in -bin, got '\(key)'")
    add(Base64.encode(bytes), for: key)
  }

  /// The first value of `key`, which must end in `-bin`, as bytes; nil if there is none or it is not base64 (RFC 4648,
  /// padded or not).
  public func bytes(for key: String) -> [UInt8]? {
    precondition(key.isBinaryKey, "the key of a binary value ends in -bin, got '\(key)'")
    return self[key].flatMap(Base64.decode)
  }
}

extension String {
  fileprivate var isBinaryKey: Bool { utf8.suffix(4).map { $0 | 0x20 } == Array("-bin".utf8) }
}

/// The standard alphabet of RFC 4648.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// Without padding.
  static func encode(_ bytes: [UInt8]) -> String {
    var text = [UInt8]()
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
      for index in 0...group.count { text.append(alphabet[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for a character outside the alphabet, a length no encoder produces, wrong padding, or bits left over that are
  /// not zero: every sequence of bytes has one text with padding and one without.
  static func decode(_ text: String) -> [UInt8]? {
    var symbols = Array(text.utf8)[...]
    if symbols.count % 4 == 0 {
      for _ in 0..<2 where symbols.last == UInt8(ascii: "=") { symbols.removeLast() }
    }
    guard symbols.count % 4 != 1 else { return nil }
    var bytes = [UInt8]()
    bytes.reserveCapacity(symbols.count * 3 / 4)
    var bits: UInt32 = 0
    var bitCount = 0
    for symbol in symbols {
      guard let value = value(of: symbol) else { return nil }
      bits = bits << 6 | value
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
        bits &= 1 << UInt32(bitCount) - 1
      }
    }
    return bits == 0 ? bytes : nil
  }

  private static func value(of symbol: UInt8) -> UInt32? {
    switch symbol {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(symbol - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(symbol - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(symbol - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
