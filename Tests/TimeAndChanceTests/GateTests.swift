import Synchronization
import TestWorld
import Testing
import TimeAndChance

/// A gate in virtual time: who waits goes on in order, who comes later does not wait, cancellation ends a wait, and what runs
/// under a gate is cancelled when it opens.
@Suite struct GateTests {
  private final class Order: Sendable {
    private let numbers = Mutex<[Int]>([])
    func append(_ number: Int) { numbers.withLock { $0.append(number) } }
    var all: [Int] { numbers.withLock { $0 } }
  }

  @Test func waitersGoOnInOrderAndOnlyThen() throws {
    try VirtualWorld.run { world in
      let gate = Gate()
      let order = Order()
      await withTaskGroup(of: Void.self) { group in
        for index in 0..<10 {
          group.addTask {
            await gate.wait()
            order.append(index)
          }
        }
        try? await world.clock.sleep(for: .seconds(1))
        #expect(order.all.isEmpty)
        #expect(!gate.isOpen)
        gate.open()
        gate.open()
      }
      #expect(order.all == Array(0..<10))
      await gate.wait()
      #expect(world.clock.elapsed == .seconds(1))
    }
  }

  @Test func cancellationEndsAWait() throws {
    try VirtualWorld.run { world in
      let gate = Gate()
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await gate.wait() }
        try? await world.clock.sleep(for: .seconds(1))
        group.cancelAll()
        group.addTask { await gate.wait() }
      }
      #expect(!gate.isOpen)
    }
  }

  @Test func cancellingReturnsWhatTheOperationDoes() throws {
    struct Broken: Error {}
    try VirtualWorld.run { world in
      let gate = Gate()
      let value = try await gate.cancelling { 7 }
      #expect(value == 7)
      await #expect(throws: Broken.self) { try await gate.cancelling { throw Broken() } }
      let interrupted = try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
          try await gate.cancelling { (try? await world.clock.sleep(for: .seconds(3600))) == nil && gate.isOpen }
        }
        try await world.clock.sleep(for: .seconds(1))
        gate.open()
        return try await group.next()
      }
      #expect(interrupted == true)
      #expect(world.clock.elapsed == .seconds(1))
    }
  }

  @Test func limitCancelsAndSaysSo() throws {
    try VirtualWorld.run { world in
      let slow = await world.clock.run(atMost: .seconds(5)) { await Gate().wait() }
      #expect(!slow)
      #expect(world.clock.elapsed == .seconds(5))
      let quick = await world.clock.run(atMost: .seconds(5)) {}
      #expect(quick)
      #expect(world.clock.elapsed == .seconds(5))
    }
  }
}
