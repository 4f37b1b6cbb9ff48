import Synchronization
import TestWorld
import Testing
import TimeAndChance

@testable import ServiceHost

/// What a service needs is looked at every two seconds, each thing on its own, whoever asks; a look that takes too long has
/// failed, and an answer does not outlive its time. In virtual time.
@Suite struct ReadinessMonitorTests {
  private static func run(
    _ checks: [ReadinessCheck], _ body: @escaping @Sendable (ReadinessMonitor, VirtualClock) async throws -> Void
  ) throws {
    try VirtualWorld.run { world in
      let monitor = ReadinessMonitor(clock: world.clock)
      monitor.set(checks)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await monitor.run() }
        group.addTask { try await body(monitor, world.clock) }
        try await group.next()
        group.cancelAll()
      }
    }
  }

  @Test func looksDoNotDependOnQuestions() throws {
    let looks = Trace<Void>()
    try Self.run([ReadinessCheck("a") { looks.append(()) }]) { monitor, clock in
      #expect(monitor.results.map(\.outcome) == [.pending])
      try await clock.sleep(for: .milliseconds(100))
      for _ in 0..<1000 { #expect(monitor.results.map(\.outcome) == [.passed]) }
      #expect(looks.entries.count == 1)
      try await clock.sleep(for: .seconds(20))
      #expect(looks.entries.count == 11)
    }
  }

  @Test func aSlowLookFailsAndHoldsUpNoOther() throws {
    struct Away: Error {}
    let slow = ReadinessCheck("slow") { try await Task.sleep(for: .seconds(1 << 30)) }
    let ticks = Trace<Void>()
    let checks = [slow, ReadinessCheck("quick") { ticks.append(()) }, ReadinessCheck("away") { throw Away() }]
    try Self.run(checks) { monitor, clock in
      try await clock.sleep(for: .seconds(1))
      #expect(monitor.results.map(\.name) == ["slow", "quick", "away"])
      #expect(monitor.results.map(\.outcome) == [.pending, .passed, .failed("Away()")])
      try await clock.sleep(for: .milliseconds(1100))
      #expect(monitor.results.first?.outcome == .failed("no answer within 2.0 seconds"))
      #expect(ticks.entries.count == 2)
    }
  }

  /// A look that heeds no cancellation: the last answer must not stand for ever.
  @Test func anOldAnswerIsNone() throws {
    let looks = Mutex(0)
    let held = Mutex<CheckedContinuation<Void, Never>?>(nil)
    let stubborn = ReadinessCheck("stubborn") {
      let isFirst = looks.withLock { looks in
        looks += 1
        return looks == 1
      }
      if !isFirst { await withCheckedContinuation { continuation in held.withLock { $0 = continuation } } }
    }
    try Self.run([stubborn]) { monitor, clock in
      try await clock.sleep(for: .seconds(7))
      #expect(monitor.results.map(\.outcome) == [.passed])
      try await clock.sleep(for: .seconds(2))
      #expect(monitor.results.map(\.outcome) == [.failed("no answer within 8.0 seconds")])
      held.withLock { $0 }?.resume()
    }
  }
}
