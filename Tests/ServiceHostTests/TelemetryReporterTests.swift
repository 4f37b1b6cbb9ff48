import RPC
import RPCMemory
import Schema
import Synchronization
import Telemetry
import TestWorld
import Testing
import TimeAndChance

@testable import ServiceHost

/// A reporter over a network in memory, in virtual time: what Logger gets to know, and that nothing is lost when streams break,
/// Loggers come and go, or the process ends while there is no connection.
@Suite struct TelemetryReporterTests {
  // MARK: - Reporting

  @Test func reportsAreCumulativeAndTellWhatHasChanged() throws {
    try ReporterRig.run { rig in
      let logger = rig.startLogger()
      rig.registry.count("a_total")
      rig.registry.gauge("g", to: 5)
      try await rig.pass(.milliseconds(1100))
      rig.registry.count("a_total", by: 2)
      try await rig.pass(.milliseconds(500))
      #expect(logger.streams.count == 1)
      let reports = logger.reports
      #expect(reports.map { $0.instance?.name } == ["s-1"] + reports.dropFirst().map { _ in nil })
      let told = reports.map { $0.metrics.map { "\($0.name)=\($0.value)" } }
      // Each says at least that the service lives.
      #expect(told.filter { !$0.isEmpty } == [["a_total=1.0", "g=5.0"], ["a_total=3.0"]])
      #expect(reports.count == 4)
      // A new stream begins with everything.
      rig.stopLogger()
      let next = rig.startLogger()
      try await rig.pass(.seconds(3))
      #expect(next.reports.first?.metrics.map(\.value) == [3, 5])
      #expect(next.reports.first?.instance?.name == "s-1")
    }
  }

  @Test func muchIsToldInPieces() throws {
    var limits = MetricsRegistry.Limits()
    limits.names = 300
    try ReporterRig.run(limits: limits) { rig in
      for index in 0..<250 { rig.registry.count(MetricName(rawValue: "m\(index)_total")) }
      for index in 0..<450 { rig.registry.event(.info, "e\(index)", "m", [:]) }
      let logger = rig.startLogger()
      await rig.reporter.flush()
      #expect(logger.reports.map(\.metrics.count).filter { $0 > 0 } == [100, 100, 50])
      #expect(logger.reports.map(\.events.count).filter { $0 > 0 } == [200, 200, 50])
      #expect(Set(logger.reports.flatMap(\.metrics).map(\.name)).count == 250)
      #expect(logger.eventNames == (0..<450).map { "e\($0)" })
    }
  }

  // MARK: - Losing nothing

  @Test(arguments: 1...20 as ClosedRange<UInt64>) func eventsOutliveBrokenStreams(seed: UInt64) throws {
    try ReporterRig.run { rig in
      let random = SeededRandom(seed: seed)
      var loggers = [rig.startLogger()]
      for index in 0..<100 {
        rig.registry.event(.info, "e\(index)", "m", [:])
        try await rig.pass(.milliseconds(random.next(below: 300)))
        guard random.next(below: 8) == 0 else { continue }
        rig.stopLogger()
        try await rig.pass(.milliseconds(random.next(below: 600)))
        loggers.append(rig.startLogger())
      }
      await rig.reporter.flush()
      #expect(loggers.flatMap(\.streams).count > 1)
      // At least once, and for the first time in order.
      let names = loggers.flatMap(\.eventNames).filter { $0 != "telemetry.stream_lost" }
      var seen: Set<String> = []
      #expect(names.filter { seen.insert($0).inserted } == (0..<100).map { "e\($0)" })
      #expect(rig.registry.eventsDropped == 0 && rig.registry.pendingEvents().isEmpty)
    }
  }

  /// A Logger that drains ends the stream and says what it took: the rest goes to its successor, once.
  @Test func whatALeavingLoggerDidNotTakeGoesToTheNext() throws {
    try ReporterRig.run { rig in
      for index in 0..<450 { rig.registry.event(.info, "e\(index)", "m", [:]) }
      let leaving = rig.startLogger(LoggerDouble(eventsTaken: 200))
      try await rig.pass(.milliseconds(100))
      #expect(leaving.streams.first?.flatMap(\.events).count == 200)
      rig.stopLogger()
      let next = rig.startLogger()
      await rig.reporter.flush()
      let names = (leaving.eventNames + next.eventNames).filter { $0 != "telemetry.stream_lost" }
      #expect(names == (0..<450).map { "e\($0)" })
      #expect(rig.registry.eventsDropped == 0)
    }
  }

  @Test func aFullQueueCountsWhatItDrops() throws {
    var limits = MetricsRegistry.Limits()
    limits.events = 10
    try ReporterRig.run(limits: limits) { rig in
      try await rig.pass(.seconds(1))
      // There is no Logger, which is an event as well.
      #expect(rig.registry.pendingEvents().map(\.name) == ["telemetry.stream_lost"])
      for index in 0..<25 { rig.registry.event(.info, "e\(index)", "m", [:]) }
      let logger = rig.startLogger()
      try await rig.pass(.seconds(10))
      #expect(logger.eventNames == ["telemetry.stream_lost"] + (0..<9).map { "e\($0)" })
      #expect(logger.reports.first?.eventsDropped == 16)
      let dropped = logger.reports.first?.metrics.first { $0.name == "chancery_telemetry_dropped_total" }
      #expect(dropped?.value == 16 && dropped?.labels == [.init(name: "what", value: "events")])
      // There is room again.
      rig.registry.event(.info, "last", "m", [:])
      try await rig.pass(.seconds(1))
      #expect(logger.eventNames.last == "last" && logger.reports.last?.eventsDropped == 16)
    }
  }

  // MARK: - The end

  @Test func flushTellsTheRestAtOnce() throws {
    try ReporterRig.run { rig in
      let logger = rig.startLogger()
      try await rig.pass(.milliseconds(1250))
      rig.registry.count("late_total")
      rig.registry.event(.info, "late", "m", [:])
      let start = rig.clock.now
      await rig.reporter.flush()
      #expect(rig.clock.now == start)
      #expect(logger.eventNames == ["late"] && logger.reports.last?.metrics.map(\.name) == ["late_total"])
      #expect(rig.registry.pendingEvents().isEmpty)
      // It has said goodbye.
      try await rig.pass(.seconds(5))
      #expect(logger.streams.count == 1)
    }
  }

  /// The channel pauses between attempts to connect when the process ends; Logger is back, but nobody knows yet.
  @Test func flushWaitsForAChannelThatBacksOff() throws {
    try ReporterRig.run(channelBackoff: Backoff(initial: .milliseconds(1500), maximum: .milliseconds(1500))) { rig in
      try await rig.pass(.milliseconds(100))
      rig.registry.event(.info, "late", "m", [:])
      let logger = rig.startLogger()
      let start = rig.clock.now
      await rig.reporter.flush()
      #expect(start.duration(to: rig.clock.now) == .milliseconds(1400))
      #expect(logger.eventNames == ["telemetry.stream_lost", "late"])
      #expect(rig.registry.pendingEvents().isEmpty)
    }
  }

  /// The last stream breaks as well.
  @Test func flushTriesAgain() throws {
    try ReporterRig.run { rig in
      _ = rig.startLogger()
      try await rig.pass(.milliseconds(1250))
      rig.registry.event(.info, "late", "m", [:])
      rig.breakNext()
      let logger = rig.startLogger()
      await rig.reporter.flush()
      #expect(logger.eventNames.filter { $0 != "telemetry.stream_lost" } == ["late"])
      #expect(rig.registry.pendingEvents().isEmpty)
    }
  }

  @Test func flushGivesUpInTime() throws {
    try ReporterRig.run { rig in
      rig.registry.event(.info, "late", "m", [:])
      try await rig.pass(.seconds(3))
      let start = rig.clock.now
      await rig.reporter.flush()
      #expect(start.duration(to: rig.clock.now) == .seconds(2))
    }
  }

  @Test func flushDoesNotInsist() throws {
    try ReporterRig.run { rig in
      _ = rig.startLogger(LoggerDouble(error: RPCError(.invalidArgument, "no")))
      try await rig.pass(.seconds(1))
      let start = rig.clock.now
      await rig.reporter.flush()
      #expect(start.duration(to: rig.clock.now) < .milliseconds(10))
    }
  }
}

/// A registry and its reporter on a network without a Logger.
private struct ReporterRig: Sendable {
  let clock: any ServiceClock
  let registry: MetricsRegistry
  let reporter: TelemetryReporter
  private let network: MemoryNetwork
  private let server: ServerSlot

  private final class ServerSlot: Sendable {
    let server = Mutex<MemoryServer?>(nil)
    let breaksNext = Mutex(false)
  }

  static func run(
    limits: MetricsRegistry.Limits = MetricsRegistry.Limits(),
    channelBackoff: Backoff = TelemetryReporter.channelBackoff,
    _ body: @escaping @Sendable (ReporterRig) async throws -> Void
  ) throws {
    try VirtualWorld.run { world in
      let slot = ServerSlot()
      let network = MemoryNetwork(executor: world.executor, clock: world.clock) { _, bytes in
        let isReset = slot.breaksNext.withLock { breaks in
          defer { if bytes > 0 { breaks = false } }
          return breaks && bytes > 0
        }
        return isReset ? .reset : .deliver(after: .zero)
      }
      let channel = ClientChannel(
        connectors: [network.connector(from: "service", to: "logger")], clock: world.clock,
        random: SeededRandom(seed: 1), backoff: channelBackoff)
      let registry = MetricsRegistry(logger: silence, limits: limits)
      let reporter = TelemetryReporter(
        instance: .init(service: "signer", name: "s-1", incarnation: "1", version: "1"), registry: registry,
        channel: channel, clock: world.clock, random: SeededRandom(seed: 2))
      let rig = ReporterRig(
        clock: world.clock, registry: registry, reporter: reporter, network: network, server: slot)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        group.addTask { await reporter.run() }
        defer { group.cancelAll() }
        try await body(rig)
      }
    }
  }

  /// Starts a Logger, in place of one that runs.
  func startLogger(_ logger: LoggerDouble = LoggerDouble()) -> LoggerDouble {
    stopLogger()
    let server = network.serve(RPCRouter(services: [logger]) { _, _ in }, as: "logger")
    self.server.server.withLock { $0 = server }
    return logger
  }

  /// Stops the Logger as a crash does.
  func stopLogger() {
    let server = server.server.withLock { server in
      defer { server = nil }
      return server
    }
    server?.stop()
  }

  /// The connection breaks with the next bytes on it.
  func breakNext() { server.breaksNext.withLock { $0 = true } }

  /// Lets everything happen that happens within `duration`.
  func pass(_ duration: Duration) async throws { try await clock.sleep(for: duration) }
}
