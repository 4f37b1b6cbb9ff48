package import CProtobufC

/// Copies what an unpacked message points to into Swift values. The bytes have been validated.
package enum MessageReader {
  package static func string(_ text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "" }
    return String(cString: text)
  }

  package static func strings(
    _ texts: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, count: Int
  ) -> [String] {
    array(texts, count: count) { string($0) }
  }

  package static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    Array(UnsafeBufferPointer(start: data.data, count: data.len))
  }

  package static func bytes(_ data: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int) -> [[UInt8]] {
    array(data, count: count) { bytes($0) }
  }

  package static func scalars<T: BitwiseCopyable>(_ values: UnsafeMutablePointer<T>?, count: Int) -> [T] {
    Array(UnsafeBufferPointer(start: values, count: count))
  }

  package static func booleans(_ values: UnsafeMutablePointer<protobuf_c_boolean>?, count: Int) -> [Bool] {
    array(values, count: count) { $0 != 0 }
  }

  /// - Parameter values: the C enum's values, which protoc-c makes as wide as an `int`.
  package static func enums<E: ProtobufEnum, C: BitwiseCopyable>(
    _ values: UnsafeMutablePointer<C>?, count: Int
  ) -> [E] {
    precondition(MemoryLayout<C>.size == MemoryLayout<Int32>.size, "protoc-c enums have the size of an int")
    return array(values, count: count) { E(rawValue: unsafeBitCast($0, to: Int32.self)) }
  }

  package static func message<M: CMessageConvertible, C>(_ message: UnsafeMutablePointer<C>?) -> M? {
    guard let message else { return nil }
    return M(copying: message)
  }

  package static func messages<M: CMessageConvertible, C>(
    _ messages: UnsafeMutablePointer<UnsafeMutablePointer<C>?>?, count: Int
  ) -> [M] {
    array(messages, count: count) { M(copying: $0!) }
  }

  /// A map from its entries; the last entry of a key wins.
  ///
  /// Keys that Swift compares as equal, such as the two spellings of an accented letter, are one key.
  package static func dictionary<K: Hashable, V, C>(
    _ entries: UnsafeMutablePointer<UnsafeMutablePointer<C>?>?, count: Int,
    _ pair: (UnsafeMutablePointer<C>) -> (K, V)
  ) -> [K: V] {
    var result: [K: V] = [:]
    result.reserveCapacity(count)
    for entry in UnsafeBufferPointer(start: entries, count: count) {
      let (key, value) = pair(entry!)
      result[key] = value
    }
    return result
  }

  private static func array<T, R>(_ values: UnsafeMutablePointer<T>?, count: Int, _ convert: (T) -> R) -> [R] {
    UnsafeBufferPointer(start: values, count: count).map(convert)
  }
}
