import Simulation
import Testing
import TimeAndChance

/// A world is reproducible: the seed decides the order of everything, time passes only when nothing else can happen, and a
/// deadlock is found.
@Suite struct WorldTests {
  private func trace(seed: UInt64) throws -> [String] {
    let world = World(seed: seed)
    let trace = Trace()
    try world.run {
      await withTaskGroup(of: Void.self) { group in
        for name in ["a", "b", "c", "d"] {
          group.addTask {
            for step in 0..<5 {
              try? await world.clock.sleep(for: .milliseconds(world.random.next(below: 3)))
              trace.add("\(name)\(step)@\(world.clock.elapsed)")
            }
          }
        }
      }
    }
    return trace.lines
  }

  @Test func theSameSeedGivesTheSameTrace() throws {
    let first = try trace(seed: 42)
    #expect(first.count == 20)
    #expect(try trace(seed: 42) == first)
  }

  @Test func seedsDiffer() throws {
    let traces = try Set((0..<20).map { try trace(seed: $0) })
    #expect(traces.count > 10)
  }

  @Test func timePassesOnlyWhenAsked() throws {
    let world = World(seed: 1)
    let elapsed = try world.run {
      try await world.clock.sleep(for: .seconds(3000))
      return world.clock.elapsed
    }
    #expect(elapsed == .seconds(3000))
  }

  @Test func aDeadlockIsFound() {
    let world = World(seed: 1)
    let bell = Doorbell()
    #expect(throws: World.Failure.deadlock) { try world.run { await bell.wait() } }
    bell.ring()
  }

  @Test func aCancelledSleepEndsAtOnce() throws {
    let world = World(seed: 5)
    let elapsed = try world.run {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { try? await world.clock.sleep(for: .seconds(100)) }
        group.addTask { try? await world.clock.sleep(for: .seconds(1)) }
        await group.next()
        group.cancelAll()
      }
      return world.clock.elapsed
    }
    #expect(elapsed == .seconds(1))
  }
}
