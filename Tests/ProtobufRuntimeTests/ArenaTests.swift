import Testing

@testable import ProtobufRuntime

// Proves that the arena hands out aligned, disjoint memory, stops at its limit whatever is asked of it, and wipes what
// it is told to wipe, by allocating from it directly.
@Suite struct ArenaTests {
  @Test func `allocations are aligned and disjoint across blocks`() throws {
    let arena = Arena(maximumBytes: 1 << 20)
    var ranges: [Range<UInt>] = []
    for index in 0..<2000 {
      let count = index % 67
      let memory = try #require(arena.allocate(count))
      memory.initializeMemory(as: UInt8.self, repeating: UInt8(index & 255), count: count)
      let address = UInt(bitPattern: memory)
      #expect(address % UInt(Arena.alignment) == 0)
      if count > 0 { ranges.append(address..<address + UInt(count)) }
    }
    let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
    for (left, right) in zip(sorted, sorted.dropFirst()) { #expect(left.upperBound <= right.lowerBound) }
  }

  @Test func `a small message costs one block`() throws {
    let arena = Arena(maximumBytes: 1 << 20)
    let before = arena.reservedBytes
    for _ in 0..<10 { _ = try #require(arena.allocate(64)) }
    #expect(arena.reservedBytes == before)
    #expect(before == Arena.State.smallBlock)
  }

  @Test func `a large allocation does not waste the block in use`() throws {
    let arena = Arena(maximumBytes: 8 << 20)
    let first = try #require(arena.allocate(8))
    _ = try #require(arena.allocate(4 << 20))
    let second = try #require(arena.allocate(8))
    #expect(second == first + 8)
  }

  @Test func `the limit holds for all blocks together`() throws {
    let limit = 100_000
    let arena = Arena(maximumBytes: limit)
    var allocated = 0
    while arena.allocate(1000) != nil { allocated += 1000 }
    #expect(arena.isExhausted)
    #expect(arena.reservedBytes <= limit)
    #expect(allocated > limit * 9 / 10)
  }

  @Test(arguments: [1001, 1 << 40, Int.max, Int.max - 7, -1, Int.min])
  func `what cannot be satisfied fails and exhausts the arena`(count: Int) {
    let arena = Arena(maximumBytes: 1000)
    #expect(arena.allocate(count) == nil)
    #expect(arena.isExhausted)
  }

  @Test func `a count whose bytes overflow fails`() {
    let arena = Arena(maximumBytes: 1000)
    #expect(arena.allocate(UInt64.self, count: Int.max / 4) == nil)
  }

  @Test func `wiping overwrites every block`() throws {
    let state = Arena.State.make(firstBlock: 256, maximumBytes: 1 << 20, wiping: true)
    defer { Arena.State.free(state) }
    let secrets = try (0..<50).map { _ in
      let memory = try #require(Arena.State.allocate(100, from: state))
      return memory.initializeMemory(as: UInt8.self, repeating: 0xa5, count: 100)
    }
    Arena.State.wipe(state)
    for secret in secrets {
      #expect(UnsafeBufferPointer(start: secret, count: 100).allSatisfy { $0 == 0 })
    }
  }
}
