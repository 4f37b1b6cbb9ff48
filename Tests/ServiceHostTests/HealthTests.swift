import RPC
import RPCMemory
import Schema
import ServiceHost
import TestWorld
import Testing
import TimeAndChance

/// Health over a network in memory: what a check says, what a watcher sees and when, and that a server which stops tells its
/// watchers before it lets them go.
@Suite struct HealthTests {
  private typealias Status = ChanceryV1.HealthCheckResponse.ServingStatus

  private func run(
    _ body: @escaping @Sendable (HealthRegistry, ChanceryV1.Health.Client, VirtualWorld) async throws -> Void
  ) throws {
    try VirtualWorld.run { world in
      let registry = HealthRegistry()
      let network = MemoryNetwork(executor: world.executor, clock: world.clock)
      _ = network.serve(RPCRouter(services: [HealthEndpoint(registry)]) { _, _ in }, as: "server")
      let channel = ClientChannel(connectors: [network.connector(from: "test", to: "server")], clock: world.clock)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        defer { group.cancelAll() }
        try await body(registry, ChanceryV1.Health.Client(channel), world)
      }
    }
  }

  private func code(_ body: () async throws -> Void) async -> StatusCode? {
    await #expect(throws: RPCError.self) { try await body() }?.code
  }

  @Test func check() throws {
    try run { registry, health, _ in
      func expect(_ expected: Status, _ name: String = "", line: SourceLocation = #_sourceLocation) async throws {
        let status = try await health.check(.init(service: name)).status
        #expect(status == expected, sourceLocation: line)
      }
      let jobs = "chancery.v1.Jobs"
      try await expect(.notServing)
      registry.set(.serving)
      registry.set(.serving, for: jobs)
      try await expect(.serving)
      try await expect(.serving, jobs)
      registry.set(.notServing, for: jobs)
      try await expect(.notServing, jobs)
      let long = String(repeating: "x", count: 201)
      #expect(await code { try await expect(.serving, "chancery.v1.Nothing") } == .notFound)
      #expect(await code { try await expect(.serving, String(long.dropLast())) } == .notFound)
      #expect(await code { try await expect(.serving, long) } == .invalidArgument)
      #expect(
        await code { try await health.watch(.init(service: long)) { for try await _ in $0 {} } } == .invalidArgument)
      // For good.
      registry.stop()
      registry.set(.serving)
      try await expect(.notServing)
      try await expect(.notServing, jobs)
    }
  }

  @Test func watchTellsEachChangeAndTheEnd() throws {
    try run { registry, health, world in
      let name = "chancery.v1.Jobs"
      let seen = Trace<Status>()
      async let ending = code {
        try await health.watch(.init(service: name)) { replies in
          for try await reply in replies { seen.append(reply.status) }
        }
      }
      /// Lets everything happen that is caused by what was done.
      func pass() async throws { try await world.clock.sleep(for: .milliseconds(1)) }
      try await pass()
      #expect(seen.entries == [.serviceUnknown])
      registry.set(.notServing, for: name)
      try await pass()
      registry.set(.serving, for: name)
      try await pass()
      // No change, or none of this service.
      registry.set(.serving, for: name)
      registry.set(.serving)
      try await pass()
      #expect(seen.entries == [.serviceUnknown, .notServing, .serving])
      // Two changes before anybody looks are none.
      registry.set(.notServing, for: name)
      registry.set(.serving, for: name)
      try await pass()
      #expect(seen.entries.count == 3)
      registry.stop()
      registry.endWatches()
      #expect(await ending == .unavailable)
      #expect(seen.entries == [.serviceUnknown, .notServing, .serving, .notServing])
      // Later ones are told, and let go, at once.
      #expect(await code { try await health.watch(.init(service: name)) { for try await _ in $0 {} } } == .unavailable)
    }
  }

  @Test func aWatcherThatLeavesIsForgotten() throws {
    try run { registry, health, world in
      for _ in 0..<3 {
        try await health.watch(.init()) { replies in
          for try await reply in replies {
            #expect(reply.status == .notServing)
            return
          }
        }
      }
      try await world.clock.sleep(for: .milliseconds(1))
      let status = try await health.check(.init()).status
      #expect(status == .notServing)
    }
  }
}
