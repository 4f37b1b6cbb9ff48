import Domain
import LoggerService
import RPC
import RPCMemory
import Schema
import Storage
import Synchronization
import TestWorld
import TimeAndChance

/// A logger on a network in memory, in a world of its own, with a channel to it.
struct LoggerRig: Sendable {
  let world: VirtualWorld
  let logger: LoggerCore
  let store: FallibleEventStore
  let observer: RecordingObserver
  let server: MemoryServer
  let channel: ClientChannel
  /// How often the logger has asked what time it is: once for a snapshot, once for a report with events.
  let clockReadings: ClockReadings

  final class ClockReadings: Sendable {
    let count = Atomic<Int>(0)
  }

  /// The wall clock's time at the start of the world, in microseconds.
  static let epoch: Int64 = 1_700_000_000_000_000

  var telemetry: ChanceryV1.Telemetry.Client { ChanceryV1.Telemetry.Client(channel) }
  var metrics: ChanceryV1.Metrics.Client { ChanceryV1.Metrics.Client(channel) }

  /// Runs `body` with a rig whose logger runs until it returns.
  static func run(
    store: FallibleEventStore = FallibleEventStore(), options: LoggerOptions = LoggerOptions(),
    _ body: @escaping @Sendable (LoggerRig) async throws -> Void
  ) throws {
    try VirtualWorld.run { world in
      let readings = ClockReadings()
      let observer = RecordingObserver()
      let clock = world.clock
      let logger = LoggerCore(
        store: store, clock: clock, random: SeededRandom(seed: 1), observer: observer,
        wallClock: {
          readings.count.add(1, ordering: .relaxed)
          return Timestamp(rawValue: epoch).advanced(by: clock.elapsed)
        }, options: options)
      var limits = ConnectionLimits()
      // Slow consumers are what is tested here; the connection's own answer to them comes later than the test ends.
      limits.stallTimeout = .seconds(36_000)
      let network = MemoryNetwork(executor: world.executor, clock: clock, limits: limits)
      let server = network.serve(RPCRouter(services: logger.services) { _, _ in }, as: "logger")
      let channel = ClientChannel(connectors: [network.connector(from: "test", to: "logger")], clock: clock)
      let rig = LoggerRig(
        world: world, logger: logger, store: store, observer: observer, server: server, channel: channel,
        clockReadings: readings)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await logger.run() }
        group.addTask { await channel.run() }
        try await body(rig)
        group.cancelAll()
      }
    }
  }

  /// Lets everything happen that happens within `duration`.
  func pass(_ duration: Duration = .milliseconds(1)) async throws { try await world.clock.sleep(for: duration) }
}
