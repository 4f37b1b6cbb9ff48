import DedicatedThreads
import Synchronization
import Testing

/// An actor on a thread of its own, which can block as a driver does.
private actor Blocker {
  nonisolated let thread: DedicatedThread
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
  private var order: [Int] = []

  init(_ thread: DedicatedThread) { self.thread = thread }

  func isOnThread() -> Bool { thread.isCurrent }
  func append(_ number: Int) { order.append(number) }
  func numbers() -> [Int] { order }
  func wait(until deadline: ContinuousClock.Instant?) -> DedicatedThread.WaitOutcome {
    thread.wait(for: nil, [], until: deadline)
  }
  /// Waits for what another thread announces by a wake-up.
  func wait(for flag: CancellationFlag) -> Int {
    var wakeUps = 0
    while !flag.isCancelled {
      if thread.wait(for: nil, [], until: nil) == .woken { wakeUps += 1 }
    }
    return wakeUps
  }
  func block(_ gate: Gate) { gate.blockUntilOpen() }
}

/// Blocks threads until it is opened.
final class Gate: Sendable {
  private let opened = Atomic(false)
  private let entered = Atomic(0)

  func open() { opened.store(true, ordering: .releasing) }
  func blockUntilOpen() {
    entered.add(1, ordering: .releasing)
    while !opened.load(ordering: .acquiring) {}
  }
  /// Returns when so many threads are blocked.
  func untilEntered(_ count: Int) async {
    while entered.load(ordering: .acquiring) < count { await Task.yield() }
  }
}

/// Proves that an actor on a dedicated thread runs there and nowhere else, in order; that a blocking wait is woken, or ends
/// at its deadline; that a stopped thread ends, and that no job is lost when one comes late. Nothing sleeps: what must come
/// first is awaited.
@Suite(.timeLimit(.minutes(1)))
struct DedicatedThreadTests {
  @Test func `jobs run on the thread, in order`() async throws {
    let blocker = Blocker(try DedicatedThread(name: "test"))
    #expect(await blocker.isOnThread())
    #expect(!blocker.thread.isCurrent)
    for number in 0..<100 { await blocker.append(number) }
    #expect(await blocker.numbers() == Array(0..<100))
  }

  @Test func `a wake-up ends a wait without deadline, whenever it comes`() async throws {
    let blocker = Blocker(try DedicatedThread(name: "test"))
    for _ in 0..<1000 {
      let flag = CancellationFlag()
      async let wakeUps = blocker.wait(for: flag)
      flag.cancel()
      blocker.thread.wake()
      #expect(await wakeUps <= 2)
    }
  }

  @Test func `a wait ends at its deadline`() async throws {
    let blocker = Blocker(try DedicatedThread(name: "test"))
    let deadline = ContinuousClock.now + .milliseconds(20)
    #expect(await blocker.wait(until: deadline) == .timedOut)
    #expect(ContinuousClock.now >= deadline)
    #expect(await blocker.wait(until: .now - .seconds(1)) == .timedOut)
  }

  @Test func `cancelling a task wakes the thread that waits for it`() async throws {
    let blocker = Blocker(try DedicatedThread(name: "test"))
    let flag = CancellationFlag()
    let task = Task {
      await withTaskCancellationHandler {
        await blocker.wait(for: flag)
      } onCancel: {
        flag.cancel()
        blocker.thread.wake()
      }
    }
    task.cancel()
    #expect(await task.value <= 1)
  }

  @Test func `a stopped thread runs what is queued, ends, and comes back for a late job`() async throws {
    let thread = try DedicatedThread(name: "test")
    let blocker = Blocker(thread)
    let gate = Gate()
    async let blocked: Void = blocker.block(gate)
    await gate.untilEntered(1)
    async let queued: Void = blocker.append(1)
    thread.stop()
    thread.stop()
    gate.open()
    _ = await (blocked, queued)
    await thread.join()
    await thread.join()
    await blocker.append(2)
    #expect(await blocker.numbers() == [1, 2])
    #expect(await blocker.isOnThread())
  }

  @Test func `letting go of an idle thread ends it and never blocks`() async throws {
    for _ in 0..<200 {
      let blocker = Blocker(try DedicatedThread(name: "test"))
      #expect(await blocker.isOnThread())
    }
  }

  @Test func `blocked threads leave the cooperative pool free`() async throws {
    let gate = Gate()
    let blockers = try (0..<8).map { _ in Blocker(try DedicatedThread(name: "test")) }
    await withTaskGroup { group in
      for blocker in blockers { group.addTask { await blocker.block(gate) } }
      await gate.untilEntered(blockers.count)
      // All eight block now. Were they threads of the pool, this could not go on.
      var ticks = 0
      for _ in 0..<1000 {
        await Task.yield()
        ticks += 1
      }
      #expect(ticks == 1000)
      gate.open()
    }
  }
}
