/// Bytes of a decoded message, left where they were unpacked. Holding them keeps the memory of the whole message alive.
public struct ArenaBytes: Sendable {
  private let start: ArenaPointer<UInt8>?
  /// The number of bytes.
  public let count: Int

  init(_ start: ArenaPointer<UInt8>?, count: Int) {
    self.start = start
    self.count = start == nil ? 0 : count
  }

  /// Lends the bytes, which stay valid during the call.
  ///
  /// - Throws: whatever `body` throws.
  public func withSpan<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
    guard let start else { return try body(UnsafeBufferPointer(start: nil, count: 0).span) }
    return try start.read { (pointer) throws(E) in
      try body(UnsafeBufferPointer(start: pointer, count: count).span)
    }
  }

  /// A copy of the bytes.
  public func copied() -> [UInt8] {
    withSpan { span in span.withUnsafeBufferPointer { Array($0) } }
  }
}
