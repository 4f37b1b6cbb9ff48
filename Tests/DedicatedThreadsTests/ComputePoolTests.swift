import DedicatedThreads
import Synchronization
import Testing

/// Numbers in the order in which several threads have written them.
private final class Recorder: Sendable {
  private let recorded = Mutex<[Int]>([])

  var numbers: [Int] { recorded.withLock { $0 } }
  func record(_ number: Int) { recorded.withLock { $0.append(number) } }
}

/// Proves that a compute pool runs work on its own threads, first come, first served; refuses what exceeds its queue; drops
/// cancelled work before it begins and tells running work; and that it ends in both ways, finishing or refusing.
@Suite(.timeLimit(.minutes(1)))
struct ComputePoolTests {
  @Test func `work returns its value`() async throws {
    let pool = try ComputePool(threads: 2)
    #expect(try await pool.run { 6 * 7 } == 42)
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<500 { group.addTask { try await pool.run { number } } }
      return try await group.reduce(0, +)
    }
    #expect(sum == 124_750)
    await pool.shutDown()
  }

  @Test func `work runs in the order in which it came`() async throws {
    let pool = try ComputePool(threads: 1)
    let gate = Gate()
    let order = Recorder()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await pool.run { gate.blockUntilOpen() } }
      await gate.untilEntered(1)
      for number in 0..<20 {
        group.addTask { try await pool.run { order.record(number) } }
        while pool.load.waiting <= number { await Task.yield() }
      }
      gate.open()
      try await group.waitForAll()
    }
    #expect(order.numbers == Array(0..<20))
  }

  @Test func `work beyond the limit is refused`() async throws {
    let pool = try ComputePool(threads: 1, queueLimit: 2)
    let gate = Gate()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await pool.run { gate.blockUntilOpen() } }
      await gate.untilEntered(1)
      for _ in 0..<2 { group.addTask { try await pool.run {} } }
      while pool.load.waiting < 2 { await Task.yield() }
      await #expect(throws: ComputeError.queueFull(limit: 2)) { try await pool.run {} }
      gate.open()
      try await group.waitForAll()
    }
    try await pool.run {}
  }

  @Test func `work cancelled before it begins never begins`() async throws {
    let pool = try ComputePool(threads: 1)
    let gate = Gate()
    let begun = Recorder()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await pool.run { gate.blockUntilOpen() } }
      await gate.untilEntered(1)
      let queued = Task { try await pool.run { begun.record(1) } }
      while pool.load.waiting < 1 { await Task.yield() }
      queued.cancel()
      await #expect(throws: ComputeError.cancelled) { try await queued.value }
      #expect(pool.load.waiting == 0)
      gate.open()
      try await group.waitForAll()
    }
    await pool.shutDown()
    #expect(begun.numbers.isEmpty)
  }

  @Test func `a cancelled task submits nothing`() async throws {
    let pool = try ComputePool(threads: 1)
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await pool.run { 1 }
    }
    task.cancel()
    await #expect(throws: ComputeError.cancelled) { try await task.value }
  }

  @Test func `running work sees the cancellation between two items and its value is returned`() async throws {
    let pool = try ComputePool(threads: 1)
    let began = Gate()
    began.open()
    let task = Task {
      try await pool.run { flag in
        began.blockUntilOpen()
        var items = 0
        while !flag.isCancelled { items += 1 }
        return items
      }
    }
    await began.untilEntered(1)
    task.cancel()
    #expect(try await task.value >= 0)
  }

  @Test(arguments: [ComputePool.QueuedWork.finish, .refuse])
  func `shutting down finishes or refuses what is queued`(_ policy: ComputePool.QueuedWork) async throws {
    let pool = try ComputePool(threads: 1)
    let gate = Gate()
    async let running: Void = pool.run { gate.blockUntilOpen() }
    await gate.untilEntered(1)
    let queued = Task { try await pool.run { 7 } }
    while pool.load.waiting < 1 { await Task.yield() }
    let shutDown = Task { await pool.shutDown(policy) }
    if policy == .refuse {
      await #expect(throws: ComputeError.shutDown) { try await queued.value }
    }
    gate.open()
    try await running
    if policy == .finish { #expect(try await queued.value == 7) }
    await shutDown.value
    await #expect(throws: ComputeError.shutDown) { try await pool.run {} }
  }

  @Test func `inline compute runs in place and observes cancellation`() async throws {
    let inline = InlineCompute()
    #expect(try await inline.run { 5 } == 5)
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await inline.run { 5 }
    }
    task.cancel()
    await #expect(throws: ComputeError.cancelled) { try await task.value }
  }
}
