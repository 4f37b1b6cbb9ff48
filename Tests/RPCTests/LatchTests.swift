import RPCTestSupport
import Testing

@testable import RPC

/// Waiters go on when the latch opens, at once when it is open, and when their task is cancelled; nobody else does.
@Suite struct LatchTests {
  @Test func everybodyGoesOnInOrder() throws {
    let simulation = Simulation()
    let order = Watched<[Int]>([])
    let latch = Latch()
    try simulation.run {
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<20 {
          group.addTask {
            await latch.wait()
            order.update { $0.append(number) }
          }
        }
        await Task.yield()
        #expect(order.value.isEmpty && !latch.isOpen)
        latch.open()
        latch.open()
      }
    }
    #expect(order.value == Array(0..<20) && latch.isOpen)
    try simulation.run { await latch.wait() }
  }

  @Test func cancellationEndsOneWait() throws {
    let simulation = Simulation()
    let latch = Latch()
    let passed = Watched<[String]>([])
    try simulation.run {
      let tasks = ["a", "b"].map { name in
        Task(executorPreference: simulation.executor) {
          await latch.wait()
          passed.update { $0.append(name) }
        }
      }
      await Task.yield()
      tasks[0].cancel()
      await tasks[0].value
      #expect(passed.value == ["a"])
      latch.open()
      await tasks[1].value
    }
    #expect(passed.value == ["a", "b"])
  }

  /// From many threads at once: every waiter returns.
  @Test func races() async {
    for round in 0..<200 {
      let latch = Latch()
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<8 { group.addTask { await latch.wait() } }
        group.addTask { if round % 2 == 0 { latch.open() } }
        if round % 2 == 1 { group.cancelAll() }
      }
    }
  }
}
