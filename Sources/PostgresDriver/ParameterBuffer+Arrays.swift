extension ParameterBuffer {
  /// The head of a one-dimensional array in binary form (`array_send` of the server): number of dimensions, whether there
  /// are NULLs, type of the elements, and for the dimension its length and lower bound. An empty array has no dimension.
  mutating func appendArrayHeader(count: Int, element: PostgresType, hasNulls: Bool = false) {
    let target = extend(count == 0 ? 12 : 20)
    Self.store(Int32(count == 0 ? 0 : 1), at: target)
    Self.store(Int32(hasNulls ? 1 : 0), at: target + 4)
    Self.store(element.rawValue, at: target + 8)
    if count > 0 {
      Self.store(Int32(truncatingIfNeeded: count), at: target + 12)
      Self.store(Int32(1), at: target + 16)
    }
  }

  /// An array of elements of one size, each preceded by that size.
  private mutating func appendFixedElements<Element>(
    _ elements: [Element], type: PostgresType, size: Int, store: (Element, UnsafeMutableRawPointer) -> Void
  ) {
    appendArrayHeader(count: elements.count, element: type)
    var target = extend(elements.count * (4 + size))
    for element in elements {
      Self.store(Int32(truncatingIfNeeded: size), at: target)
      store(element, target + 4)
      target += 4 + size
    }
  }

  mutating func appendArray(_ elements: [Bool]) {
    appendFixedElements(elements, type: .bool, size: 1) { Self.store($0 ? UInt8(1) : 0, at: $1) }
  }

  mutating func appendArray(_ elements: [Int32]) {
    appendFixedElements(elements, type: .int4, size: 4) { Self.store($0, at: $1) }
  }

  mutating func appendArray(_ elements: [Int64]) {
    appendFixedElements(elements, type: .int8, size: 8) { Self.store($0, at: $1) }
  }

  mutating func appendArray(_ elements: [PostgresUUID]) {
    appendFixedElements(elements, type: .uuid, size: 16) {
      Self.store($0.high, at: $1)
      Self.store($0.low, at: $1 + 8)
    }
  }

  mutating func appendArray(_ elements: [String?], type: PostgresType) {
    appendArrayHeader(count: elements.count, element: type, hasNulls: elements.contains { $0 == nil })
    for element in elements {
      guard let element else {
        append(Int32(-1))
        continue
      }
      append(Int32(truncatingIfNeeded: element.utf8.count))
      append(element)
    }
  }

  mutating func appendArray(_ elements: [[UInt8]]) {
    appendArrayHeader(count: elements.count, element: .bytea)
    for element in elements {
      append(Int32(truncatingIfNeeded: element.count))
      append(element)
    }
  }

  /// The sizes must add up to the size of `bytes`.
  mutating func appendByteaArray(_ bytes: [UInt8], sizes: [UInt32]) {
    appendArrayHeader(count: sizes.count, element: .bytea)
    var target = extend(bytes.count + 4 * sizes.count)
    bytes.withUnsafeBytes { source in
      var offset = 0
      for size in sizes {
        Self.store(size, at: target)
        UnsafeMutableRawBufferPointer(start: target + 4, count: Int(size))
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + Int(size)]))
        offset += Int(size)
        target += 4 + Int(size)
      }
    }
  }

  /// The size must divide that of `bytes`.
  mutating func appendByteaArray(_ bytes: [UInt8], elementSize: Int) {
    let count = bytes.count / elementSize
    appendArrayHeader(count: count, element: .bytea)
    var target = extend(bytes.count + 4 * count)
    bytes.withUnsafeBytes { source in
      guard var element = source.baseAddress else { return }
      for _ in 0..<count {
        Self.store(Int32(truncatingIfNeeded: elementSize), at: target)
        (target + 4).copyMemory(from: element, byteCount: elementSize)
        element += elementSize
        target += 4 + elementSize
      }
    }
  }
}
