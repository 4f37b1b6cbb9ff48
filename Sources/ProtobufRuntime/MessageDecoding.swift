internal import CProtobufC

extension CMessageConvertible {
  /// Decodes a value; the body of the generated `init(protobuf:limits:)`.
  package static func decode(
    _ bytes: borrowing Span<UInt8>, limits: DecodeLimits
  ) throws(ProtobufError) -> Self {
    let (arena, message) = try unpack(bytes, limits: limits, wiping: false)
    return withExtendedLifetime(arena) { Self(copying: message) }
  }

  /// Unpacks a message and leaves it in its arena; the body of a generated view's `init(protobuf:limits:wiping:)`.
  package static func decodeView<C>(
    _ bytes: borrowing Span<UInt8>, limits: DecodeLimits, wiping: Bool, as type: C.Type
  ) throws(ProtobufError) -> ArenaPointer<C> {
    let (arena, message) = try unpack(bytes, limits: limits, wiping: wiping)
    return ArenaPointer(arena: arena, pointer: message.assumingMemoryBound(to: type))
  }

  private static func unpack(
    _ bytes: borrowing Span<UInt8>, limits: DecodeLimits, wiping: Bool
  ) throws(ProtobufError) -> (Arena, UnsafeRawPointer) {
    do {
      return try Unpacker(type: descriptor, limits: limits, wiping: wiping).unpack(bytes)
    } catch {
      throw error.inside(message: protobufName)
    }
  }
}

/// Validates bytes and lets libprotobuf-c unpack them.
private struct Unpacker {
  let type: MessageDescriptor
  let limits: DecodeLimits
  let wiping: Bool

  func unpack(_ bytes: borrowing Span<UInt8>) throws(ProtobufError) -> (Arena, UnsafeRawPointer) {
    guard bytes.count <= limits.maximumBytes else {
      throw ProtobufError(.tooLarge, "\(bytes.count) bytes exceed the limit of \(limits.maximumBytes)")
    }
    var validator = WireValidator(limits: limits)
    try validator.validate(bytes, in: bytes.indices, as: type)

    let arena = Arena(maximumBytes: limits.maximumArenaBytes, firstBlock: blockSize(for: bytes.count), wiping: wiping)
    let needsNormalizing = validator.needsNormalizing
    let message = try bytes.withUnsafeBufferPointer { (buffer) throws(ProtobufError) in
      let input = needsNormalizing ? try WireNormalizer(arena: arena).normalize(buffer, as: type) : buffer
      return arena.withAllocator { allocator in
        protobuf_c_message_unpack(type.pointer, allocator, input.count, input.baseAddress)
      }
    }
    guard let message else {
      guard arena.isExhausted else { throw ProtobufError(.malformed, "libprotobuf-c refused the message") }
      throw arena.exhaustion
    }
    return (arena, UnsafeRawPointer(message))
  }

  /// One block that usually suffices: the C struct, and each field's bytes with their pointer or padding.
  private func blockSize(for byteCount: Int) -> Int {
    max(type.pointer.pointee.sizeof_message + byteCount + byteCount / 2 + 256, Arena.State.smallBlock)
  }
}

extension Arena {
  /// The error for a failed allocation.
  var exhaustion: ProtobufError {
    ProtobufError(.outOfMemory, "the unpacked message needs more than \(maximumBytes) bytes of memory")
  }
}
