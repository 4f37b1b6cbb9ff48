package import CProtobufC

/// Makes the C values that a message points to while it is being encoded. All live in one arena.
package struct MessageWriter {
  /// The most memory an encoder takes; a message that needs more could not be encoded within protobuf's 2 GiB, or
  /// holds little but empty messages.
  static let maximumArenaBytes = 4 << 30

  let arena: Arena
  let depth: Int

  /// A C struct with the contents of `value`.
  func make<M: CMessageConvertible>(_ value: M) throws(ProtobufError) -> UnsafeMutableRawPointer {
    let descriptor = M.descriptor.pointer
    let message = try allocate(descriptor.pointee.sizeof_message)
    protobuf_c_message_init(descriptor, message)
    try value.fill(message, MessageWriter(arena: arena, depth: depth + 1))
    return message
  }

  package func message<M: CMessageConvertible, C>(
    _ value: M, as type: C.Type, _ field: StaticString
  ) throws(ProtobufError) -> UnsafeMutablePointer<C> {
    do throws(ProtobufError) {
      guard depth < DecodeLimits.deepestNesting else {
        throw ProtobufError(.tooDeep, "messages are nested more than \(DecodeLimits.deepestNesting) deep")
      }
      return try make(value).assumingMemoryBound(to: type)
    } catch {
      throw error.inside(field.description)
    }
  }

  package func messages<M: CMessageConvertible, C>(
    _ values: [M], as type: C.Type, _ field: StaticString
  ) throws(ProtobufError) -> UnsafeMutablePointer<UnsafeMutablePointer<C>?> {
    let pointers = try array(of: UnsafeMutablePointer<C>?.self, count: values.count)
    for index in values.indices { pointers[index] = try message(values[index], as: type, field) }
    return pointers
  }

  /// The entries of a map field, in the order of their keys so that encoding is deterministic.
  ///
  /// - Parameter fill: initialises and fills the C struct of one entry, with the writer for what it points to.
  package func entries<K, V, C>(
    _ map: [K: V], as type: C.Type, _ field: StaticString, sortedBy order: (K, K) -> Bool,
    _ fill: (MessageWriter, UnsafeMutablePointer<C>, K, V) throws(ProtobufError) -> Void
  ) throws(ProtobufError) -> UnsafeMutablePointer<UnsafeMutablePointer<C>?> {
    let pointers = try array(of: UnsafeMutablePointer<C>?.self, count: map.count)
    // An entry is a message of its own, so what it holds is nested one level deeper.
    let writer = MessageWriter(arena: arena, depth: depth + 1)
    for (index, (key, value)) in map.sorted(by: { order($0.key, $1.key) }).enumerated() {
      let entry = try allocate(MemoryLayout<C>.size).bindMemory(to: type, capacity: 1)
      do { try fill(writer, entry, key, value) } catch { throw error.inside(field.description) }
      pointers[index] = entry
    }
    return pointers
  }

  /// A NUL-terminated copy. It is never libprotobuf-c's own empty string, by which that marks an unset oneof member.
  package func string(
    _ value: String, _ field: StaticString
  ) throws(ProtobufError) -> UnsafeMutablePointer<CChar> {
    do {
      return try value.utf8.span.withUnsafeBufferPointer { (text) throws(ProtobufError) in
        let copy = try array(of: CChar.self, count: text.count + 1)
        if let base = text.baseAddress {
          guard memchr(base, 0, text.count) == nil else { throw TextRules.embeddedNUL }
          memcpy(copy, base, text.count)
        }
        copy[text.count] = 0
        return copy
      }
    } catch {
      throw error.inside(field.description)
    }
  }

  package func strings(
    _ values: [String], _ field: StaticString
  ) throws(ProtobufError) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
    let pointers = try array(of: UnsafeMutablePointer<CChar>?.self, count: values.count)
    for index in values.indices { pointers[index] = try string(values[index], field) }
    return pointers
  }

  package func bytes(_ value: [UInt8]) throws(ProtobufError) -> ProtobufCBinaryData {
    ProtobufCBinaryData(len: value.count, data: value.isEmpty ? nil : try scalars(value))
  }

  package func bytes(_ values: [[UInt8]]) throws(ProtobufError) -> UnsafeMutablePointer<ProtobufCBinaryData> {
    let copies = try array(of: ProtobufCBinaryData.self, count: values.count)
    for index in values.indices { copies[index] = try bytes(values[index]) }
    return copies
  }

  package func scalars<T: BitwiseCopyable>(_ values: [T]) throws(ProtobufError) -> UnsafeMutablePointer<T> {
    let copy = try array(of: T.self, count: values.count)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { copy.initialize(from: base, count: source.count) }
    }
    return copy
  }

  package func booleans(_ values: [Bool]) throws(ProtobufError) -> UnsafeMutablePointer<protobuf_c_boolean> {
    let copy = try array(of: protobuf_c_boolean.self, count: values.count)
    for index in values.indices { copy[index] = values[index] ? 1 : 0 }
    return copy
  }

  /// - Parameter type: the C enum, which protoc-c makes as wide as an `int`.
  package func enums<E: ProtobufEnum, C: BitwiseCopyable>(
    _ values: [E], as type: C.Type
  ) throws(ProtobufError) -> UnsafeMutablePointer<C> {
    precondition(MemoryLayout<C>.size == MemoryLayout<Int32>.size, "protoc-c enums have the size of an int")
    let copy = try array(of: type, count: values.count)
    copy.withMemoryRebound(to: Int32.self, capacity: values.count) { numbers in
      for index in values.indices { numbers[index] = values[index].rawValue }
    }
    return copy
  }

  private func array<T: BitwiseCopyable>(
    of type: T.Type, count: Int
  ) throws(ProtobufError) -> UnsafeMutablePointer<T> {
    guard let memory = arena.allocate(type, count: count) else { throw exhaustion }
    return memory
  }

  private func allocate(_ count: Int) throws(ProtobufError) -> UnsafeMutableRawPointer {
    guard let memory = arena.allocate(count) else { throw exhaustion }
    return memory
  }

  private var exhaustion: ProtobufError {
    ProtobufError(.tooLarge, "encoding takes more than \(Self.maximumArenaBytes) bytes of memory")
  }
}
