import RPC
import RPCMemory
import RPCTestSupport
import Synchronization
import Testing
import TimeAndChance

/// Calls go to several servers in turn; servers that are lost are passed over, and those that a look-up finds are used.
@Suite struct BalancingTests {
  private let simulation = Simulation()

  /// Answers with the name of the server.
  private static func router(_ name: String) -> RPCRouter {
    TestService.router(TestService([.unary(TestService.unary) { (_: TestMessage, _) in TestMessage(name) }]))
  }

  /// Addresses that a test changes.
  private final class Addresses: AddressResolver {
    private let state: Mutex<(result: Result<[String], RPCError>, lookUps: Int)>
    private let network: MemoryNetwork
    let refreshInterval: Duration? = .seconds(30)

    init(_ network: MemoryNetwork, _ names: [String]) {
      self.network = network
      state = Mutex((.success(names), 0))
    }

    func set(_ result: Result<[String], RPCError>) { state.withLock { $0.result = result } }
    var lookUps: Int { state.withLock { $0.lookUps } }

    func resolve() async throws(RPCError) -> [any ClientConnector] {
      let result = state.withLock { state in
        state.lookUps += 1
        return state.result
      }
      return try result.get().map { network.connector(from: "client", to: $0) }
    }
  }

  private func run(
    _ names: [String], _ body: @escaping @Sendable (ClientChannel, MemoryNetwork, Addresses) async throws -> Void
  ) throws {
    try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let addresses = Addresses(network, names)
      let channel = ClientChannel(
        resolver: addresses, balancing: .roundRobin, clock: simulation.clock, random: SeededRandom(seed: 1),
        backoff: Backoff(initial: .milliseconds(100), maximum: .seconds(1)))
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        defer { group.cancelAll() }
        try await body(channel, network, addresses)
      }
    }
  }

  private static func call(_ channel: ClientChannel, waits: Bool = false) async throws -> String {
    let reply: TestMessage = try await channel.unary(
      TestService.unary, TestMessage("who?"), options: CallOptions(timeout: .seconds(20), waitForReady: waits))
    return reply.text
  }

  /// How often each server answered.
  private static func answers(_ channel: ClientChannel, _ count: Int) async throws -> [String: Int] {
    var answers: [String: Int] = [:]
    for _ in 0..<count { answers[try await call(channel, waits: true), default: 0] += 1 }
    return answers
  }

  @Test func serversTakeTurns() throws {
    try run(["a", "b", "c", "b"]) { [simulation] channel, network, _ in
      for name in ["a", "b", "c"] { _ = network.serve(Self.router(name), as: name) }
      // The first answers as soon as it is there; then all are.
      _ = try await Self.call(channel)
      try await simulation.clock.sleep(for: .seconds(1))
      #expect(try await Self.answers(channel, 30) == ["a": 10, "b": 10, "c": 10])
    }
  }

  @Test func aLostServerIsPassedOver() throws {
    try run(["a", "b"]) { [simulation] channel, network, _ in
      let a = network.serve(Self.router("a"), as: "a")
      _ = network.serve(Self.router("b"), as: "b")
      try await simulation.clock.sleep(for: .seconds(1))
      #expect(try await Self.answers(channel, 10) == ["a": 5, "b": 5])
      a.drain()
      await a.ended.wait()
      #expect(try await Self.answers(channel, 10) == ["b": 10])
      _ = network.serve(Self.router("a2"), as: "a")
      try await simulation.clock.sleep(for: .seconds(3))
      #expect(try await Self.answers(channel, 10) == ["a2": 5, "b": 5])
    }
  }

  @Test func withoutAnyServerCallsFailOrWait() throws {
    try run(["a", "b"]) { [simulation] channel, network, _ in
      let error = await #expect(throws: RPCError.self) { try await Self.call(channel) }
      #expect(error?.code == .unavailable)
      async let patient = Self.call(channel, waits: true)
      try await simulation.clock.sleep(for: .seconds(5))
      _ = network.serve(Self.router("b"), as: "b")
      let answer = try await patient
      #expect(answer == "b")
    }
  }

  @Test func addressesAreLookedUpAgain() throws {
    try run(["a", "b"]) { [simulation] channel, network, addresses in
      for name in ["a", "b", "c"] { _ = network.serve(Self.router(name), as: name) }
      try await simulation.clock.sleep(for: .seconds(2))
      #expect(addresses.lookUps == 1)
      addresses.set(.success(["b", "c"]))
      try await simulation.clock.sleep(for: .seconds(30))
      #expect(try await Self.answers(channel, 10) == ["b": 5, "c": 5])
      // A look-up that fails leaves what is known.
      addresses.set(.failure(RPCError(.unavailable, "no such name")))
      try await simulation.clock.sleep(for: .seconds(40))
      #expect(addresses.lookUps > 2)
      #expect(try await Self.answers(channel, 10) == ["b": 5, "c": 5])
    }
  }

  @Test func aFailingAddressIsLookedUpSoon() throws {
    try run(["a"]) { [simulation] channel, network, addresses in
      let a = network.serve(Self.router("a"), as: "a")
      let first = try await Self.call(channel)
      #expect(first == "a")
      _ = network.serve(Self.router("b"), as: "b")
      addresses.set(.success(["b"]))
      a.drain()
      await a.ended.wait()
      let before = simulation.clock.elapsed
      let second = try await Self.call(channel, waits: true)
      #expect(second == "b")
      #expect(simulation.clock.elapsed - before < .seconds(3))
    }
  }

  @Test func aNameThatDoesNotResolve() throws {
    try run([]) { [simulation] channel, network, addresses in
      _ = network.serve(Self.router("a"), as: "a")
      let none = await #expect(throws: RPCError.self) { try await Self.call(channel) }
      #expect(none == RPCError(.unavailable, "the service has no address"))
      addresses.set(.success(["a"]))
      #expect(try await Self.call(channel, waits: true) == "a")
      try await simulation.clock.sleep(for: .seconds(1))
    }
  }

  /// A call that runs on an address that is gone ends there.
  @Test func callsOnAnAddressThatIsGoneEnd() throws {
    try run(["a"]) { [simulation] channel, network, addresses in
      let release = Latch()
      let slow = TestService([
        .unary(TestService.unary) { (request: TestMessage, _) in
          await release.wait()
          return request
        }
      ])
      _ = network.serve(TestService.router(slow), as: "a")
      _ = network.serve(Self.router("b"), as: "b")
      async let running: TestMessage = channel.unary(
        TestService.unary, TestMessage("slow"), options: CallOptions())
      try await simulation.clock.sleep(for: .seconds(1))
      addresses.set(.success(["b"]))
      try await simulation.clock.sleep(for: .seconds(40))
      #expect(try await Self.answers(channel, 4) == ["b": 4])
      release.open()
      let reply = try await running
      #expect(reply == "slow")
    }
  }
}
