internal import CProtobufC

extension CMessageConvertible {
  /// Encodes the message; the body of the generated `protobufBytes()`.
  package func encode() throws(ProtobufError) -> [UInt8] {
    do {
      let arena = Arena(maximumBytes: MessageWriter.maximumArenaBytes)
      let message = try MessageWriter(arena: arena, depth: 0).make(self)
      return try withExtendedLifetime(arena) { () throws(ProtobufError) in try pack(message) }
    } catch {
      throw error.inside(message: Self.protobufName)
    }
  }

  private func pack(_ message: UnsafeMutableRawPointer) throws(ProtobufError) -> [UInt8] {
    let message = UnsafePointer(message.assumingMemoryBound(to: ProtobufCMessage.self))
    let count = protobuf_c_message_get_packed_size(message)
    guard count <= Int(Int32.max) else {
      throw ProtobufError(.tooLarge, "\(count) bytes exceed the 2 GiB that protobuf allows")
    }
    return Array(unsafeUninitializedCapacity: count) { buffer, initializedCount in
      guard let base = buffer.baseAddress, count > 0 else { return }
      initializedCount = protobuf_c_message_pack(message, base)
      precondition(initializedCount == count, "libprotobuf-c packed another size than it announced")
    }
  }
}
