import Foundation
import RPC
import RPCMemory
import RPCTestSupport
import RPCTransport
import Synchronization
import TimeAndChance

/// What carries the calls of the conformance suite.
enum Carrier: String, CaseIterable, Sendable {
  /// `RPCMemory` in virtual time on one thread.
  case memory
  /// TCP on loopback, in real time.
  case tcp
  /// A Unix socket, in real time.
  case unix
  /// TCP on loopback with TLS on both sides, in real time.
  case tls

  /// Runs `body` with a world of its own, which is closed afterwards: connections and handlers must be gone then.
  func run(
    _ limits: ConnectionLimits = ConnectionLimits(), drainTimeout: Duration = .seconds(30),
    _ body: @escaping @Sendable (World) async throws -> Void
  ) async throws {
    switch self {
    case .memory:
      let simulation = Simulation()
      try simulation.run {
        let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock, limits: limits)
        try await World.run(MemoryHost(network: network), simulation.clock, body)
      }
    case .tcp, .unix, .tls:
      let loops = EventLoops(threads: 1)
      let endpoint: Endpoint = self == .unix ? .unix(path: Self.socketPath()) : .tcp(host: "127.0.0.1", port: 0)
      let host = SocketHost(
        endpoint: endpoint, loops: loops, limits: limits, drainTimeout: drainTimeout,
        tls: self == .tls ? try await Self.credentials.value : nil)
      do {
        try await World.run(host, ContinuousClock(), body)
      } catch {
        await loops.shutdown()
        throw error
      }
      await loops.shutdown()
    }
  }

  /// One certificate for both ends of all tests.
  private static let credentials = Task {
    let authority = try await TestAuthority()
    return try TLSCredentials(try await authority.issue("anybody"))
  }

  static func socketPath() -> String {
    FileManager.default.temporaryDirectory.appending(path: "rpc-\(UUID().uuidString.prefix(8)).sock").path()
  }
}

/// Where servers run and clients connect to.
protocol Host: Sendable {
  /// Starts a server, at the place of the one before.
  func start(_ router: RPCRouter) async throws
  /// Lets the server end gracefully; returns when it has.
  func drain() async
  /// Ends the server so that clients see their connections break.
  func crash() async
  /// A connector to the place of the server.
  func connector() -> any ClientConnector
}

/// A server and a channel to it.
struct World: Sendable {
  let host: any Host
  let clock: any ServiceClock
  let channel: ClientChannel
  /// What handlers threw beside `RPCError`.
  let unexpected: Watched<[String]>

  /// A short time: in real time no test waits longer than it must.
  static let moment = Duration.milliseconds(50)

  static func run(
    _ host: any Host, _ clock: any ServiceClock, _ body: @escaping @Sendable (World) async throws -> Void
  ) async throws {
    let backoff = Backoff(initial: .milliseconds(5), maximum: .milliseconds(20))
    let channel = ClientChannel(
      connectors: [host.connector()], clock: clock, random: SeededRandom(seed: 1), backoff: backoff)
    let world = World(host: host, clock: clock, channel: channel, unexpected: Watched([]))
    let outcome = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
      group.addTask {
        await channel.run()
        return nil
      }
      group.addTask {
        do {
          return .success(try await body(world))
        } catch {
          return .failure(error)
        }
      }
      // The channel does not end before the body does.
      let outcome = await group.next() ?? nil
      group.cancelAll()
      return outcome
    }
    await host.drain()
    try outcome?.get()
  }

  /// Starts a server of the given methods.
  func serve(_ handlers: MethodHandler...) async throws { try await serve([TestService(handlers)]) }

  /// Starts a server of the given services.
  func serve(_ services: [any RPCService], interceptors: [any CallInterceptor] = []) async throws {
    try await host.start(
      RPCRouter(services: services, interceptors: interceptors) { [unexpected] error, method in
        unexpected.update { $0.append("\(method.method): \(error)") }
      })
  }

  // MARK: Calls

  func unary(_ request: TestMessage, _ options: CallOptions = Self.patient) async throws(RPCError) -> TestMessage {
    try await channel.unary(TestService.unary, request, options: options)
  }

  func clientStreaming(
    _ options: CallOptions = Self.patient, _ body: (RPCWriter<TestMessage>) async throws -> Void
  ) async throws -> TestMessage {
    try await channel.clientStreaming(TestService.clientStreaming, options: options, body)
  }

  func serverStreaming<Result>(
    _ request: TestMessage, _ options: CallOptions = Self.patient,
    _ body: (RPCReader<TestMessage>) async throws -> Result
  ) async throws -> Result {
    try await channel.serverStreaming(TestService.serverStreaming, request, options: options, body)
  }

  func bidirectional<Result>(
    _ options: CallOptions = Self.patient,
    _ body: (RPCWriter<TestMessage>, RPCReader<TestMessage>) async throws -> Result
  ) async throws -> Result {
    try await channel.bidirectional(TestService.bidirectional, options: options, body)
  }

  /// For calls that may come before the server, or while the channel reconnects.
  static let patient = CallOptions(waitForReady: true)

  /// Patient, but not for ever.
  static func timeout(_ timeout: Duration = moment) -> CallOptions { CallOptions(timeout: timeout, waitForReady: true) }
}

/// Servers in memory, one at a time, all under one name.
private final class MemoryHost: Host {
  private let network: MemoryNetwork
  private let server = Mutex<MemoryServer?>(nil)

  init(network: MemoryNetwork) { self.network = network }

  func start(_ router: RPCRouter) async throws {
    let started = network.serve(router, as: "server")
    server.withLock { $0 = started }
  }

  func drain() async { await end { $0.drain() } }
  func crash() async { await end { $0.stop() } }
  func connector() -> any ClientConnector { network.connector(from: "client", to: "server") }

  private func end(_ body: (MemoryServer) -> Void) async {
    guard let ending = server.withLock({ $0.take() }) else { return }
    body(ending)
    await ending.ended.wait()
  }
}

/// Servers on a socket, one at a time, all at one address.
private final class SocketHost: Host {
  private struct State {
    var endpoint: Endpoint
    var server: TCPServer?
  }

  private let loops: EventLoops
  private let limits: ConnectionLimits
  private let drainTimeout: Duration
  private let tls: TLSCredentials?
  private let state: Mutex<State>

  init(
    endpoint: Endpoint, loops: EventLoops, limits: ConnectionLimits, drainTimeout: Duration, tls: TLSCredentials?
  ) {
    self.tls = tls
    self.loops = loops
    self.limits = limits
    self.drainTimeout = drainTimeout
    state = Mutex(State(endpoint: endpoint))
  }

  func start(_ router: RPCRouter) async throws {
    var serverLimits = TCPServer.Limits()
    serverLimits.connection = limits
    serverLimits.drainTimeout = drainTimeout
    let server = TCPServer(router: router, loops: loops, limits: serverLimits, tls: tls)
    let endpoint = try await server.listen(at: state.withLock { $0.endpoint })
    state.withLock { state in
      state.endpoint = endpoint
      state.server = server
    }
  }

  func drain() async { await state.withLock { $0.server.take() }?.shutdown() }

  func crash() async {
    guard let server = state.withLock({ $0.server.take() }) else { return }
    // A cancelled shutdown does not wait for running calls.
    await Task {
      withUnsafeCurrentTask { $0?.cancel() }
      await server.shutdown()
    }.value
  }

  func connector() -> any ClientConnector { LateConnector(host: self) }

  /// The address is known when the server has started.
  private struct LateConnector: ClientConnector {
    let host: SocketHost
    var target: String { "\(host.state.withLock { $0.endpoint })" }

    func connect() async throws(RPCError) -> ClientConnection {
      let endpoint = host.state.withLock { $0.endpoint }
      return try await TCPConnector(endpoint: endpoint, loops: host.loops, limits: host.limits, tls: host.tls)
        .connect()
    }
  }
}
