import RPC
import RPCMemory
import RPCTestSupport
import Testing
import TimeAndChance

/// The network in memory behaves as its hook says: bytes keep their order whatever the delays, a delay takes exactly its
/// time, a reset breaks both ends; and a run repeats itself to the last delivery when its seed does.
@Suite struct MemoryNetworkTests {
  private let simulation = Simulation()

  /// Runs `body` with a channel to a server of `services` over a network with the given hook.
  private func run<Value: Sendable>(
    _ services: [any RPCService] = [TestService.echo],
    fate: @escaping MemoryNetwork.FaultHook = { _, _ in .deliver(after: .zero) },
    _ body: @escaping @Sendable (ClientChannel, MemoryServer, MemoryNetwork) async throws -> Value
  ) throws -> Value {
    try simulation.run { [simulation] in
      // Deliveries are counted here: nothing but the calls is to be sent.
      var limits = ConnectionLimits()
      limits.offersExtensions = false
      let network = MemoryNetwork(
        executor: simulation.executor, clock: simulation.clock, limits: limits, fate: fate)
      let server = network.serve(RPCRouter(services: services) { _, _ in }, as: "server")
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock,
        random: SeededRandom(seed: 1), backoff: Backoff(initial: .seconds(1), maximum: .seconds(8)))
      let value = try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        defer { group.cancelAll() }
        return try await body(channel, server, network)
      }
      server.drain()
      await server.ended.wait()
      return value
    }
  }

  private static let patient = CallOptions(waitForReady: true)

  private static func unary(_ channel: ClientChannel, _ text: String) async throws -> String {
    let reply: TestMessage = try await channel.unary(TestService.unary, TestMessage(text), options: patient)
    return reply.text
  }

  // MARK: Delays

  @Test func delaysTakeTheirTime() throws {
    let times = try run(fate: { link, byteCount in
      .deliver(
        after: byteCount == 0 ? .milliseconds(100) : link.source == "client" ? .milliseconds(30) : .milliseconds(5))
    }) { [simulation] channel, _, _ in
      var times: [Duration] = []
      for _ in 0..<3 {
        _ = try await Self.unary(channel, "x")
        times.append(simulation.clock.elapsed)
      }
      return times
    }
    #expect(times == [.milliseconds(135), .milliseconds(170), .milliseconds(205)])
  }

  /// Delays that shrink do not let later bytes overtake earlier ones.
  @Test(arguments: 0..<20 as Range<UInt64>) func orderIsKept(seed: UInt64) throws {
    let random = SeededRandom(seed: seed)
    let echoed = try run(fate: { _, _ in .deliver(after: .microseconds(random.next(below: 1000))) }) { channel, _, _ in
      try await channel.bidirectional(TestService.bidirectional, options: Self.patient) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        try await withThrowingTaskGroup(of: [String].self) { group in
          group.addTask {
            for number in 0..<300 {
              try await requests.write(TestMessage("\(number)"))
              if number % 7 == 0 { await Task.yield() }
            }
            requests.finish()
            return []
          }
          group.addTask {
            var texts: [String] = []
            for try await reply in replies { texts.append(reply.text) }
            return texts
          }
          return try await group.reduce([], +)
        }
      }
    }
    #expect(echoed == (0..<300).map { "\($0)" })
  }

  /// A partition that heals: nothing is lost, calls just take longer.
  @Test func aPartitionThatHeals() throws {
    let start = simulation.clock.now
    let clock = simulation.clock
    let elapsed = try run(fate: { _, byteCount in
      let now = start.duration(to: clock.now)
      let isPartitioned = now >= .seconds(1) && now < .seconds(20)
      return .deliver(after: isPartitioned && byteCount > 0 ? .seconds(20) - now : .zero)
    }) { channel, _, _ in
      _ = try await Self.unary(channel, "before")
      try await clock.sleep(until: start.advanced(by: .seconds(2)), tolerance: nil)
      #expect(try await Self.unary(channel, "during") == "during")
      return clock.elapsed
    }
    #expect(elapsed == .seconds(20))
  }

  /// A partition that does not: the deadline ends the call.
  @Test func aPartitionThatDoesNot() throws {
    let clock = simulation.clock
    try run(fate: { link, _ in
      .deliver(after: link.source == "server" && clock.elapsed > .seconds(1) ? .seconds(1000) : .zero)
    }) {
      channel, _, _ in
      _ = try await Self.unary(channel, "before")
      try await clock.sleep(until: clock.now.advanced(by: .seconds(2)), tolerance: nil)
      let before = clock.elapsed
      let error = await #expect(throws: RPCError.self) {
        let _: TestMessage = try await channel.unary(
          TestService.unary, TestMessage("x"), options: CallOptions(timeout: .seconds(5)))
      }
      #expect(error?.code == .deadlineExceeded && clock.elapsed - before == .seconds(5))
    }
  }

  // MARK: Resets

  /// The hook breaks the third delivery: both ends notice, and the channel connects anew.
  @Test(arguments: ["client", "server"]) func resets(source: String) throws {
    let deliveries = Watched(0)
    let attempts = Watched(0)
    try run(fate: { link, byteCount in
      if byteCount == 0 { attempts.update { $0 += 1 } }
      guard byteCount > 0, link.source == source else { return .deliver(after: .zero) }
      return deliveries.update {
        $0 += 1; return $0
      } == 3 ? .reset : .deliver(after: .zero)
    }) { channel, _, _ in
      for number in 0..<2 { #expect(try await Self.unary(channel, "\(number)") == "\(number)") }
      let error = await #expect(throws: RPCError.self) { try await Self.unary(channel, "lost") }
      #expect(error == RPCError(.unavailable, "the connection was reset"))
      let again = try await Self.unary(channel, "again")
      #expect(again == "again")
      #expect(attempts.value == 2)
    }
  }

  @Test func noConnection() throws {
    let isDown = Watched(true)
    try run(fate: { _, byteCount in byteCount == 0 && isDown.value ? .reset : .deliver(after: .zero) }) {
      channel, _, _ in
      let error = await #expect(throws: RPCError.self) {
        let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: CallOptions())
      }
      #expect(error == RPCError(.unavailable, "cannot connect to memory:server: the network is down"))
      isDown.update { $0 = false }
      let reply = try await Self.unary(channel, "up")
      #expect(reply == "up")
    }
  }

  // MARK: Servers

  @Test func serversComeAndGo() throws {
    try run { channel, server, network in
      #expect(try await Self.unary(channel, "a") == "a")
      server.stop()
      await server.ended.wait()
      let error = await #expect(throws: RPCError.self) {
        while true {
          let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: CallOptions())
        }
      }
      #expect(error == RPCError(.unavailable, "cannot connect to memory:server: nothing listens there"))
      let next = network.serve(TestService.router(TestService.echo), as: "server")
      let reply = try await Self.unary(channel, "b")
      #expect(reply == "b")
      next.drain()
      next.drain()
      await next.ended.wait()
      next.stop()
    }
  }

  @Test func aNameIsTakenOnce() async {
    await #expect(processExitsWith: .failure) {
      let simulation = Simulation()
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      _ = network.serve(TestService.router(), as: "a")
      _ = network.serve(TestService.router(), as: "a")
    }
  }

  @Test func theServerKnowsItsClients() throws {
    let peers = Watched<[PeerInfo]>([])
    let service = TestService([
      .unary(TestService.unary) { (request: TestMessage, context) in
        peers.update { $0.append(context.peer) }
        return request
      }
    ])
    _ = try run([service]) { channel, _, _ in try await Self.unary(channel, "x") }
    #expect(peers.value == [PeerInfo(address: "memory:client", identity: "client")])
  }

  // MARK: Repetition

  /// A trace of all deliveries and outcomes of a run with faults and concurrent clients.
  private static func trace(seed: UInt64) throws -> [String] {
    let simulation = Simulation()
    let random = SeededRandom(seed: seed)
    let trace = Watched<[String]>([])
    @Sendable func note(_ text: String) { trace.update { $0.append("\(simulation.clock.elapsed) \(text)") } }
    let service = TestService([
      .unary(TestService.unary) { (request: TestMessage, _) in
        try await simulation.clock.sleep(
          until: simulation.clock.now.advanced(by: .microseconds(random.next(below: 500))), tolerance: nil)
        return request
      },
      TestService.echo.methodHandlers[3],
    ])
    try simulation.run {
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock) { link, byteCount in
        let fate: MemoryNetwork.Fate =
          random.next(below: 40) == 0 ? .reset : .deliver(after: .microseconds(random.next(below: 300)))
        note("\(link.source)>\(link.destination) \(byteCount) \(fate)")
        return fate
      }
      let server = network.serve(RPCRouter(services: [service]) { error, _ in note("\(error)") }, as: "server")
      await withTaskGroup(of: Void.self) { group in
        for name in ["a", "b", "c"] {
          let channel = ClientChannel(
            connectors: [network.connector(from: name, to: "server")], clock: simulation.clock, random: random)
          group.addTask { await channel.run() }
          group.addTask {
            await withTaskGroup(of: Void.self) { calls in
              for number in 0..<30 {
                calls.addTask {
                  do {
                    let options = CallOptions(timeout: .milliseconds(2 + number), waitForReady: true)
                    if number % 3 == 0 {
                      try await channel.bidirectional(TestService.bidirectional, options: options) {
                        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
                        for _ in 0..<5 {
                          try await requests.write("x")
                          _ = try await replies.next()
                        }
                      }
                    } else {
                      let _: TestMessage = try await channel.unary(
                        TestService.unary, TestMessage("x"), options: options)
                    }
                    note("\(name)\(number) ok")
                  } catch {
                    note("\(name)\(number) \(error)")
                  }
                }
              }
            }
            note("\(name) done")
          }
        }
        var done = 0
        while done < 3 {
          await trace.wait { [done] in $0.count { $0.hasSuffix("done") } > done }
          done = trace.value.count { $0.hasSuffix("done") }
        }
        group.cancelAll()
      }
      server.drain()
      await server.ended.wait()
    }
    return trace.value
  }

  @Test(arguments: 0..<10 as Range<UInt64>) func oneSeedOneRun(seed: UInt64) throws {
    let first = try Self.trace(seed: seed)
    #expect(first.count > 100)
    #expect(try Self.trace(seed: seed) == first)
  }

  /// Hashing is seeded per process: whatever depended on the order of a dictionary would show here.
  @Test func otherProcessesTheSameRun() async throws {
    var outputs: [[UInt8]] = []
    for _ in 0..<4 {
      let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
        print(try Self.trace(seed: 3).joined(separator: "\n"))
      }
      outputs.append(try #require(result).standardOutputContent)
    }
    #expect(outputs[0].count > 3000)
    #expect(outputs.allSatisfy { $0 == outputs[0] })
  }

  @Test func otherSeedsOtherRuns() throws {
    let traces = try (0..<5).map { try Self.trace(seed: $0) }
    #expect(Set(traces).count == 5)
    #expect(traces.joined().contains { $0.hasSuffix("reset") }, "some connections are reset")
    #expect(traces.joined().contains { $0.contains("DEADLINE_EXCEEDED") }, "some deadlines pass")
    #expect(traces.joined().contains { $0.hasSuffix("ok") }, "some calls succeed")
  }
}
