extension Span<UInt8> {
  /// The bytes as an array. Not for secrets.
  var copiedBytes: [UInt8] {
    withUnsafeBufferPointer { Array($0) }
  }

  /// Whether the bytes from `offset` on begin with those of `text`.
  func hasPrefix(_ text: StaticString, at offset: Int = 0) -> Bool {
    let length = text.utf8CodeUnitCount
    guard offset >= 0, length <= count - offset else { return false }
    return text.withUTF8Buffer { text in (0..<length).allSatisfy { self[offset + $0] == text[$0] } }
  }
}
