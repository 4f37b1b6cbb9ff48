import Glibc
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

@testable import RPC

/// A connection that cannot be had says why, an attempt can be given up, and a peer that hangs up at once is not called in
/// a tight loop.
@Suite(.timeLimit(.minutes(1))) struct TCPConnectorTests {
  private static func failure(_ connector: TCPConnector) async -> RPCError? {
    await #expect(throws: RPCError.self) { try await connector.connect() }
  }

  @Test(arguments: [
    (Endpoint.unix(path: "/nonexistent/x.sock"), "there is no such socket"),
    (.tcp(host: "no-such-host.invalid", port: 7000), "the name 'no-such-host.invalid' does not resolve"),
  ]) func reasons(endpoint: Endpoint, reason: String) async throws {
    try await EventLoops.with(threads: 1) { loops in
      let error = await Self.failure(TCPConnector(endpoint: endpoint, loops: loops))
      #expect(error == RPCError(.unavailable, "cannot connect to \(endpoint): \(reason)"))
    }
  }

  @Test func nothingListens() async throws {
    try await EventLoops.with(threads: 1) { loops in
      let server = TCPServer(router: TestService.router(TestService.echo), loops: loops)
      let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
      await server.shutdown()
      let error = await Self.failure(TCPConnector(endpoint: endpoint, loops: loops))
      #expect(error == RPCError(.unavailable, "cannot connect to \(endpoint): nothing listens there"))
    }
  }

  /// A listener that accepts nothing and whose queue is full: the system does not answer further attempts.
  private final class SilentListener {
    let endpoint: Endpoint
    private let descriptor: Int32
    private var fillers: [RawSocket] = []

    init() throws {
      let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      descriptor = listening
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bytes in
          bind(listening, bytes, length) == 0 && listen(listening, 0) == 0
            && getsockname(listening, bytes, &length) == 0
        }
      }
      guard bound else { throw RawSocket.Failure(call: "listen", code: errno) }
      endpoint = .tcp(host: "127.0.0.1", port: Int(UInt16(bigEndian: address.sin_port)))
      fillers.append(try RawSocket(endpoint))
    }

    deinit { close(descriptor) }
  }

  @Test func noAnswer() async throws {
    try await EventLoops.with(threads: 1) { loops in
      let listener = try SilentListener()
      let connector = TCPConnector(endpoint: listener.endpoint, loops: loops, connectTimeout: .milliseconds(50))
      let error = await Self.failure(connector)
      #expect(error == RPCError(.unavailable, "cannot connect to \(listener.endpoint): no answer in time"))
    }
  }

  @Test func givingUp() async throws {
    try await EventLoops.with(threads: 1) { loops in
      let listener = try SilentListener()
      let connector = TCPConnector(endpoint: listener.endpoint, loops: loops, connectTimeout: .seconds(2))
      await withTaskGroup(of: Void.self) { group in
        group.addTask { #expect(await Self.failure(connector)?.code == .cancelled) }
        group.cancelAll()
      }
      // A channel that is connecting closes as soon as it is told to.
      let channel = ClientChannel(connectors: [connector])
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        group.cancelAll()
      }
    }
  }

  /// Attempts that are given up at any moment leave no connection behind.
  @Test func givingUpAtAnyMoment() async throws {
    try await EventLoops.with(threads: 1) { loops in
      let server = TCPServer(router: TestService.router(TestService.echo), loops: loops)
      let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
      let connector = TCPConnector(endpoint: endpoint, loops: loops)
      await withTaskGroup(of: Void.self) { group in
        for round in 0..<200 {
          group.addTask {
            let attempt = Task { try await connector.connect() }
            for _ in 0..<round { await Task.yield() }
            attempt.cancel()
            (try? await attempt.value)?.close()
          }
        }
      }
      // Ends when the last connection has.
      await server.shutdown()
      #expect(server.connectionCount == 0)
    }
  }

  /// A server that accepts and hangs up is called again after ever longer pauses only.
  @Test func aPeerThatHangsUp() throws {
    final class HangUp: ClientConnector {
      let target = "nowhere"
      let simulation: Simulation
      let attempts = Watched<[Duration]>([])
      init(simulation: Simulation) { self.simulation = simulation }
      func connect() async throws(RPCError) -> ClientConnection {
        attempts.update { $0.append(simulation.clock.elapsed) }
        let connection = ClientConnection(io: TestIO(executor: simulation.executor), clock: simulation.clock)
        connection.closed(RPCError(.unavailable, "hung up"))
        return connection
      }
    }
    let simulation = Simulation()
    let connector = HangUp(simulation: simulation)
    try simulation.run {
      let channel = ClientChannel(
        connectors: [connector], clock: simulation.clock, random: SeededRandom(seed: 1),
        backoff: Backoff(initial: .seconds(1), maximum: .seconds(100)))
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        await connector.attempts.wait { $0.count == 8 }
        group.cancelAll()
      }
    }
    let times = connector.attempts.value
    let pauses = zip(times.dropFirst(), times).map { $0 - $1 }
    for (attempt, pause) in pauses.enumerated() {
      #expect(pause >= .seconds(1) && pause <= min(.seconds(100), .seconds(1 << (attempt + 1))))
    }
    #expect(pauses.reduce(.zero, +) > .seconds(20))
  }
}
