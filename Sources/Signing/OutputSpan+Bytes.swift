extension OutputSpan<UInt8> {
  /// Appends a copy of `bytes`. The caller has made room.
  mutating func append(copying bytes: Span<UInt8>) {
    precondition(bytes.count <= freeCapacity, "no room for \(bytes.count) bytes")
    withUnsafeMutableBufferPointer { buffer, initialized in
      bytes.withUnsafeBufferPointer { source in
        _ = buffer[initialized...].update(fromContentsOf: source)
      }
      initialized += bytes.count
    }
  }

  /// Appends a copy of `bytes`. The caller has made room.
  mutating func append(copying bytes: [UInt8]) {
    append(copying: bytes.span)
  }

  /// Appends `count` bytes that the closure writes in place, all of them, starting from zeroes. Nothing is appended if
  /// it throws.
  mutating func appendInPlace<Failure: Error>(
    _ count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(count <= freeCapacity, "no room for \(count) bytes")
    try withUnsafeMutableBufferPointer { (buffer, initialized) throws(Failure) in
      let target = UnsafeMutableBufferPointer(rebasing: buffer[initialized..<initialized + count])
      target.initialize(repeating: 0)
      try body(target)
      initialized += count
    }
  }
}
