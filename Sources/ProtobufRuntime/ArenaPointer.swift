package import CProtobufC

/// A pointer to a C struct together with the arena that holds it.
///
/// It is unchecked Sendable because what it points to is not written after it was unpacked, and lives as long as the
/// arena, which every copy of this value retains.
package struct ArenaPointer<C>: @unchecked Sendable {
  private let arena: Arena
  private let pointer: UnsafePointer<C>

  init(arena: Arena, pointer: UnsafePointer<C>) {
    self.arena = arena
    self.pointer = pointer
  }

  /// Lends the struct, which stays valid during the call.
  package func read<R, E: Error>(_ body: (UnsafePointer<C>) throws(E) -> R) throws(E) -> R {
    defer { withExtendedLifetime(arena) {} }
    return try body(pointer)
  }

  /// A value copied out of the struct.
  package func copied<M: CMessageConvertible>() -> M {
    read { M(copying: $0) }
  }

  /// A struct of the same message.
  package func nested<N>(_ message: UnsafeMutablePointer<N>) -> ArenaPointer<N> {
    ArenaPointer<N>(arena: arena, pointer: message)
  }

  /// The structs of a repeated message field.
  package func nested<N, Element>(
    _ messages: UnsafeMutablePointer<UnsafeMutablePointer<N>?>?, count: Int,
    as view: @escaping @Sendable (ArenaPointer<N>) -> Element
  ) -> ArenaList<Element> {
    guard let messages, count > 0 else { return ArenaList(count: 0) { _ in preconditionFailure("an empty list") } }
    let elements = ArenaPointer<UnsafeMutablePointer<N>?>(arena: arena, pointer: messages)
    return ArenaList(count: count) { index in view(elements.nested(elements.pointer[index]!)) }
  }

  /// The bytes of a field.
  package func bytes(_ data: ProtobufCBinaryData) -> ArenaBytes {
    ArenaBytes(data.data.map { ArenaPointer<UInt8>(arena: arena, pointer: $0) }, count: data.len)
  }

  /// The bytes of a repeated field.
  package func bytes(_ data: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int) -> ArenaList<ArenaBytes> {
    guard let data, count > 0 else { return ArenaList(count: 0) { _ in preconditionFailure("an empty list") } }
    let elements = ArenaPointer<ProtobufCBinaryData>(arena: arena, pointer: data)
    return ArenaList(count: count) { index in elements.bytes(elements.pointer[index]) }
  }

  /// Lends the bytes of a field.
  package func withSpan<R, E: Error>(
    of data: ProtobufCBinaryData, _ body: (Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    try withSpan(of: data.data, count: data.len, body)
  }

  /// Lends the numbers of a packed field.
  package func withSpan<T: BitwiseCopyable, R, E: Error>(
    of values: UnsafeMutablePointer<T>?, count: Int, _ body: (Span<T>) throws(E) -> R
  ) throws(E) -> R {
    defer { withExtendedLifetime(arena) {} }
    return try body(UnsafeBufferPointer(start: values, count: count).span)
  }
}
