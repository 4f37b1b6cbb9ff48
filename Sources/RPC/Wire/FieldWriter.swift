/// Protobuf's fields, appended to the bytes that leave. Fields that hold their default are left out, as proto3 does.
extension [UInt8] {
  mutating func appendVarint(_ value: UInt64) {
    var value = value
    while value > 0x7F {
      append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    append(UInt8(value))
  }

  mutating func appendField(_ number: UInt64, varint value: UInt64) {
    guard value != 0 else { return }
    appendVarint(number << 3)
    appendVarint(value)
  }

  mutating func appendField(_ number: UInt64, _ bytes: some Collection<UInt8>) {
    guard !bytes.isEmpty else { return }
    append(contentsOf: bytes, asField: number)
  }

  /// Appends a message whose fields `body` appends.
  mutating func appendMessage(_ number: UInt64, _ body: (inout [UInt8]) -> Void) {
    // Envelopes nest small messages only (a pair, a status), so a second buffer costs less than sizing them in advance.
    var message = [UInt8]()
    body(&message)
    append(contentsOf: message, asField: number)
  }

  private mutating func append(contentsOf bytes: some Collection<UInt8>, asField number: UInt64) {
    appendVarint(number << 3 | 2)
    appendVarint(UInt64(bytes.count))
    append(contentsOf: bytes)
  }

  /// The bytes that a field of `count` bytes takes, with its number (up to 15) and length; 0 for the default.
  static func byteCount(ofField count: Int) -> Int {
    guard count > 0 else { return 0 }
    return 1 + (Int.bitWidth - count.leadingZeroBitCount + 6) / 7 + count
  }
}
