package import CProtobufC

/// The memory of one message tree of C structs: bump-allocated blocks that are freed together.
///
/// The first block is made with the arena, holds its bookkeeping, and suffices for most messages, so that a small
/// message costs one `malloc` for all its parts. Freeing a single allocation does nothing.
///
/// It is unchecked Sendable because memory is allocated only by the one decoder or encoder that made the arena, before
/// anything else can refer to it; afterwards it is only read, and freed with the last reference.
package final class Arena: @unchecked Sendable {
  /// Allocations are aligned for the widest member that protoc-c emits: a pointer, a `double` or an `int64_t`.
  package static let alignment = 8

  private let state: UnsafeMutablePointer<State>

  /// Makes an arena.
  ///
  /// - Parameters:
  ///   - maximumBytes: the most memory of all blocks together; allocation fails beyond.
  ///   - firstBlock: the size of the first block, in bytes; it should fit the whole message.
  ///   - wiping: whether memory is overwritten before it is freed, for messages with secrets.
  package init(maximumBytes: Int, firstBlock: Int = State.smallBlock, wiping: Bool = false) {
    state = State.make(firstBlock: firstBlock, maximumBytes: maximumBytes, wiping: wiping)
  }

  deinit {
    State.free(state)
  }

  /// The memory of all blocks, in bytes.
  package var reservedBytes: Int { state.pointee.reservedBytes }

  /// The most memory that all blocks may take, in bytes.
  package var maximumBytes: Int { state.pointee.maximumBytes }

  /// Whether an allocation failed: the limit was reached or the system has no more memory.
  package var isExhausted: Bool { state.pointee.isExhausted }

  /// Memory for `count` bytes, uninitialised, or nil if the arena's limit would be exceeded.
  package func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    State.allocate(count, from: state)
  }

  /// Memory for `count` values, uninitialised, or nil if the arena's limit would be exceeded.
  package func allocate<T: BitwiseCopyable>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T>? {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    return overflow ? nil : allocate(bytes)?.bindMemory(to: type, capacity: count)
  }

  /// Lends the arena as an allocator for libprotobuf-c.
  package func withAllocator<R>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> R) -> R {
    var allocator = ProtobufCAllocator(
      alloc: { state, count in State.allocate(count, from: state!.assumingMemoryBound(to: State.self)) },
      free: { _, _ in },
      allocator_data: state)
    return withExtendedLifetime(self) { body(&allocator) }
  }
}
