internal import CProtobufC
internal import Glibc

extension Arena {
  /// What the arena's functions share; it lives at the start of the first block, where the C callback finds it.
  package struct State {
    /// The size of a first block that suits messages of a few hundred bytes; just below 1 KiB, glibc still serves it
    /// from its per-thread cache.
    package static let smallBlock = 1008
    /// Blocks double in size up to this.
    static let largestBlock = 1 << 20

    let maximumBytes: Int
    let wiping: Bool
    fileprivate(set) var isExhausted = false
    fileprivate(set) var reservedBytes: Int
    fileprivate var cursor: UnsafeMutableRawPointer
    fileprivate var end: UnsafeMutableRawPointer
    /// The newest block after the first, each linked to the one before.
    fileprivate var newest: UnsafeMutablePointer<Block>?
    fileprivate var nextBlockBytes: Int
    fileprivate let firstBlockBytes: Int
  }

  /// The header of each block after the first.
  fileprivate struct Block {
    var previous: UnsafeMutablePointer<Block>?
    var byteCount: Int
  }
}

extension Arena.State {
  static func make(firstBlock: Int, maximumBytes: Int, wiping: Bool) -> UnsafeMutablePointer<Self> {
    let header = MemoryLayout<Self>.stride
    let byteCount = max(min(firstBlock, maximumBytes), 2 * header)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: Arena.alignment)
    let state = memory.bindMemory(to: Self.self, capacity: 1)
    state.initialize(
      to: Self(
        maximumBytes: maximumBytes, wiping: wiping, reservedBytes: byteCount, cursor: memory + header,
        end: memory + byteCount, newest: nil, nextBlockBytes: min(2 * byteCount, largestBlock),
        firstBlockBytes: byteCount))
    return state
  }

  @inline(__always)
  static func allocate(_ count: Int, from state: UnsafeMutablePointer<Self>) -> UnsafeMutableRawPointer? {
    let start = state.pointee.cursor
    let room = state.pointee.end - start
    // C counts in size_t: one beyond Int.max arrives here as a negative number.
    guard count >= 0, count <= room, aligned(count) <= room else {
      return allocateInNewBlock(count, from: state)
    }
    state.pointee.cursor = start + aligned(count)
    return start
  }

  private static func aligned(_ count: Int) -> Int {
    (count + (Arena.alignment - 1)) & ~(Arena.alignment - 1)
  }

  @inline(never)
  private static func allocateInNewBlock(_ count: Int, from state: UnsafeMutablePointer<Self>)
    -> UnsafeMutableRawPointer?
  {
    let header = MemoryLayout<Arena.Block>.stride
    let allowance = state.pointee.maximumBytes - state.pointee.reservedBytes
    guard !state.pointee.isExhausted, count >= 0, count <= allowance - header - Arena.alignment else {
      state.pointee.isExhausted = true
      return nil
    }
    let size = aligned(count)
    let byteCount = min(max(size + header, state.pointee.nextBlockBytes), allowance)
    guard let memory = malloc(byteCount) else {
      state.pointee.isExhausted = true
      return nil
    }
    let block = memory.bindMemory(to: Arena.Block.self, capacity: 1)
    block.initialize(to: Arena.Block(previous: state.pointee.newest, byteCount: byteCount))
    state.pointee.newest = block
    state.pointee.reservedBytes += byteCount
    state.pointee.nextBlockBytes = min(2 * state.pointee.nextBlockBytes, largestBlock)

    // Keep filling whichever block has more room left: one large array must not end the use of a fresh block.
    let start = memory + header
    let roomAfter = byteCount - header - size
    if roomAfter >= state.pointee.end - state.pointee.cursor {
      state.pointee.cursor = start + size
      state.pointee.end = memory + byteCount
    }
    return start
  }

  /// Overwrites all that was allocated.
  static func wipe(_ state: UnsafeMutablePointer<Self>) {
    let header = MemoryLayout<Self>.stride
    chancery_wipe(UnsafeMutableRawPointer(state) + header, state.pointee.firstBlockBytes - header)
    var next = state.pointee.newest
    while let block = next {
      let header = MemoryLayout<Arena.Block>.stride
      chancery_wipe(UnsafeMutableRawPointer(block) + header, block.pointee.byteCount - header)
      next = block.pointee.previous
    }
  }

  /// Frees all blocks, wiped if the arena was made so.
  static func free(_ state: UnsafeMutablePointer<Self>) {
    if state.pointee.wiping { wipe(state) }
    var next = state.pointee.newest
    while let block = next {
      next = block.pointee.previous
      Glibc.free(block)
    }
    UnsafeMutableRawPointer(state).deallocate()
  }
}
