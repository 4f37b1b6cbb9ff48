import Synchronization
import TestWorld
import Testing
import TimeAndChance

/// A latch in virtual time: who waits goes on in order, who comes later does not wait, cancellation ends a wait, and what runs
/// under a latch is cancelled when it opens.
@Suite struct LatchTests {
  private final class Order: Sendable {
    private let numbers = Mutex<[Int]>([])
    func append(_ number: Int) { numbers.withLock { $0.append(number) } }
    var all: [Int] { numbers.withLock { $0 } }
  }

  @Test func waitersGoOnInOrderAndOnlyThen() throws {
    try VirtualWorld.run { world in
      let latch = Latch()
      let order = Order()
      await withTaskGroup(of: Void.self) { group in
        for index in 0..<10 {
          group.addTask {
            await latch.wait()
            order.append(index)
          }
        }
        try? await world.clock.sleep(for: .seconds(1))
        #expect(order.all.isEmpty)
        #expect(!latch.isOpen)
        latch.open()
        latch.open()
      }
      #expect(order.all == Array(0..<10))
      await latch.wait()
      #expect(world.clock.elapsed == .seconds(1))
    }
  }

  @Test func cancellationEndsAWait() throws {
    try VirtualWorld.run { world in
      let latch = Latch()
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await latch.wait() }
        try? await world.clock.sleep(for: .seconds(1))
        group.cancelAll()
        group.addTask { await latch.wait() }
      }
      #expect(!latch.isOpen)
    }
  }

  @Test func cancellingReturnsWhatTheOperationDoes() throws {
    struct Broken: Error {}
    try VirtualWorld.run { world in
      let latch = Latch()
      let value = try await latch.cancelling { 7 }
      #expect(value == 7)
      await #expect(throws: Broken.self) { try await latch.cancelling { throw Broken() } }
      let interrupted = try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
          try await latch.cancelling { (try? await world.clock.sleep(for: .seconds(3600))) == nil && latch.isOpen }
        }
        try await world.clock.sleep(for: .seconds(1))
        latch.open()
        return try await group.next()
      }
      #expect(interrupted == true)
      #expect(world.clock.elapsed == .seconds(1))
    }
  }

  @Test func limitCancelsAndSaysSo() throws {
    try VirtualWorld.run { world in
      let slow = await world.clock.run(atMost: .seconds(5)) { await Latch().wait() }
      #expect(!slow)
      #expect(world.clock.elapsed == .seconds(5))
      let quick = await world.clock.run(atMost: .seconds(5)) {}
      #expect(quick)
      #expect(world.clock.elapsed == .seconds(5))
    }
  }

  /// From many threads at once, opened or cancelled: every waiter returns.
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
