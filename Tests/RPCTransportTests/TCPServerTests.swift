import Foundation
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

@testable import RPC

/// What concerns listening, accepting and stopping: addresses that cannot be had, too many connections, descriptors that run
/// out, calls that do not end.
@Suite(.timeLimit(.minutes(1))) struct TCPServerTests {
  private static let loopback = Endpoint.tcp(host: "127.0.0.1", port: 0)

  private static func server(
    _ loops: EventLoops, _ limits: TCPServer.Limits = TCPServer.Limits(),
    _ services: [any RPCService] = [TestService.echo]
  ) -> TCPServer {
    TCPServer(router: RPCRouter(services: services) { _, _ in }, loops: loops, limits: limits)
  }

  private static func echo(_ socket: RawSocket, _ id: UInt32 = 1) throws {
    try socket.send(.request(TestService.unary, on: id, [5]))
    #expect(try socket.response(on: id) == .ok)
  }

  // MARK: Listening

  @Test(arguments: ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "example.org:0"]) func notLocal(text: String) async throws {
    try await EventLoops.with(threads: 2) { loops in
      let error = await #expect(throws: ListenError.self) {
        try await Self.server(loops).listen(at: try Endpoint(parsing: text))
      }
      #expect(error?.code == .notLocal)
      #expect(error.map { "\($0)" }?.hasPrefix("cannot listen on \(text): other machines could reach it") == true)
    }
  }

  @Test func thePortIsInUse() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let first = Self.server(loops)
      let endpoint = try await first.listen(at: Self.loopback)
      let second = Self.server(loops)
      let error = await #expect(throws: ListenError.self) { try await second.listen(at: endpoint) }
      #expect(error?.code == .addressInUse && error?.endpoint == endpoint)
      await first.shutdown()
      // Free again at once, although a connection may linger.
      #expect(try await second.listen(at: endpoint) == endpoint)
      await second.shutdown()
    }
  }

  @Test func aUnixSocketIsInUseOrAbandoned() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let path = Carrier.socketPath()
      let first = Self.server(loops)
      _ = try await first.listen(at: .unix(path: path))
      let second = Self.server(loops)
      let error = await #expect(throws: ListenError.self) { try await second.listen(at: .unix(path: path)) }
      #expect(error?.code == .addressInUse)
      await first.shutdown()
      #expect(!FileManager.default.fileExists(atPath: path), "a server that stops takes its socket along")
      // What a server leaves that was killed.
      try Self.leaveSocket(at: path)
      #expect(FileManager.default.fileExists(atPath: path))
      _ = try await second.listen(at: .unix(path: path))
      await second.shutdown()
    }
  }

  @Test func aFileIsNotReplaced() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let path = Carrier.socketPath()
      #expect(FileManager.default.createFile(atPath: path, contents: Data("precious".utf8)))
      await #expect(throws: ListenError.self) { try await Self.server(loops).listen(at: .unix(path: path)) }
      #expect(FileManager.default.contents(atPath: path) == Data("precious".utf8))
      try FileManager.default.removeItem(atPath: path)
      let error = await #expect(throws: ListenError.self) {
        try await Self.server(loops).listen(at: .unix(path: "/nonexistent/x.sock"))
      }
      #expect(error?.code == .refused)
    }
  }

  private static func leaveSocket(at path: String) throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw RawSocket.Failure(call: "bind", code: errno) }
  }

  @Test func severalEndpoints() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let server = Self.server(loops)
      for endpoint in [try await server.listen(at: Self.loopback), try await server.listen(at: Self.loopback)] {
        try Self.echo(try RawSocket(endpoint))
      }
      await server.shutdown()
      let error = await #expect(throws: ListenError.self) { try await server.listen(at: Self.loopback) }
      #expect(error?.code == .stopping)
    }
  }

  // MARK: Accepting

  @Test func tooManyConnections() async throws {
    try await EventLoops.with(threads: 2) { loops in
      var limits = TCPServer.Limits()
      limits.maximumConnections = 2
      let server = Self.server(loops, limits)
      let endpoint = try await server.listen(at: Self.loopback)
      let first = try RawSocket(endpoint)
      try Self.echo(first)
      var second: RawSocket? = try RawSocket(endpoint)
      try Self.echo(try #require(second))
      for _ in 0..<20 { #expect(try RawSocket(endpoint).receive() == nil) }
      try Self.echo(first, 3)
      // The place of one that ends is free.
      second?.endSending()
      #expect(try second?.receive() == nil)
      second = nil
      try Self.echo(try RawSocket(endpoint))
      await server.shutdown()
      #expect(server.connectionCount == 0)
    }
  }

  /// While the process has no descriptors left, the connections it has are served; afterwards the waiting ones are.
  @Test func descriptorsRunOut() async {
    await #expect(processExitsWith: .success) {
      try await EventLoops.with(threads: 2) { loops in
        let server = Self.server(loops)
        let endpoint = try await server.listen(at: Self.loopback)
        let connected = try RawSocket(endpoint)
        try Self.echo(connected)
        let waiting = try (0..<5).map { _ in try RawSocket() }
        // Above all that are open, some of which the process that started this one may have left it.
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        let bound = (names.compactMap { rlim_t($0) }.max() ?? 0) + 20
        var limit = rlimit(rlim_cur: bound, rlim_max: bound)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var hoard: [Int32] = []
        while true {
          let descriptor = dup(0)
          if descriptor < 0 { break }
          hoard.append(descriptor)
        }
        precondition(errno == EMFILE)
        for socket in waiting { try socket.connect(to: endpoint) }
        for id in stride(from: 3 as UInt32, to: 101, by: 2) { try Self.echo(connected, id) }
        precondition(server.connectionCount == 1)
        for descriptor in hoard { close(descriptor) }
        for socket in waiting { try Self.echo(socket) }
        precondition(server.connectionCount == 6)
        await server.shutdown()
      }
      exit(0)
    }
  }

  /// Connections that come and go leave neither entries nor descriptors behind.
  @Test func nothingIsKeptOfConnections() async {
    await #expect(processExitsWith: .success) {
      try await EventLoops.with(threads: 2) { loops in
        let server = Self.server(loops)
        let endpoint = try await server.listen(at: Self.loopback)
        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        try Self.echo(try RawSocket(endpoint))
        let before = try descriptors()
        for round in 0..<300 {
          let socket = try RawSocket(endpoint)
          if round % 3 == 0 { try Self.echo(socket) }
          if round % 3 == 1 { socket.resetOnClose() }
        }
        await server.shutdown()
        precondition(server.connectionCount == 0)
        let after = try descriptors()
        precondition(after < before + 3, "\(after) descriptors after \(before)")
      }
      exit(0)
    }
  }

  // MARK: Stopping

  private final class Endless: RPCService {
    let started = Watched(0)
    let cancelled = Latch()
    let release = Watched(false)

    var methodHandlers: [MethodHandler] {
      [
        .unary(TestService.unary) { [self] (request: TestMessage, _) in
          started.update { $0 += 1 }
          if request == "stubborn" {
            await release.wait { $0 }
          } else {
            await Latch().wait()
            cancelled.open()
          }
          return request
        }
      ]
    }
  }

  /// A call that does not end is answered and cancelled when the patience for it ends.
  @Test func theDrainTimeout() async throws {
    try await EventLoops.with(threads: 2) { loops in
      var limits = TCPServer.Limits()
      limits.drainTimeout = .milliseconds(30)
      let service = Endless()
      let server = Self.server(loops, limits, [service])
      let socket = try RawSocket(try await server.listen(at: Self.loopback))
      try socket.send(.request(TestService.unary, on: 1))
      await service.started.wait { $0 == 1 }
      await server.shutdown()
      #expect(try socket.response(on: 1) == .unavailable)
      #expect(try socket.receive() == nil)
      #expect(service.cancelled.isOpen && server.connectionCount == 0)
    }
  }

  /// A handler that takes no notice does not keep the server from stopping.
  @Test func theCancelTimeout() async throws {
    try await EventLoops.with(threads: 2) { loops in
      var limits = TCPServer.Limits()
      limits.drainTimeout = .milliseconds(10)
      limits.cancelTimeout = .milliseconds(30)
      let service = Endless()
      let server = Self.server(loops, limits, [service])
      let socket = try RawSocket(try await server.listen(at: Self.loopback))
      try socket.send(.request(TestService.unary, on: 1, Array("stubborn".utf8)))
      await service.started.wait { $0 == 1 }
      await server.shutdown()
      #expect(try socket.response(on: 1) == .unavailable)
      #expect(server.connectionCount == 1)
      service.release.update { $0 = true }
      // Stopping again waits for it.
      await server.shutdown()
    }
  }

  @Test func stoppingTwiceAtATime() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let service = Endless()
      let server = Self.server(loops, TCPServer.Limits(), [service])
      let socket = try RawSocket(try await server.listen(at: Self.loopback))
      try socket.send(.request(TestService.unary, on: 1, Array("stubborn".utf8)))
      await service.started.wait { $0 == 1 }
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<3 { group.addTask { await server.shutdown() } }
        service.release.update { $0 = true }
      }
      #expect(try socket.response(on: 1) == .ok)
      #expect(server.connectionCount == 0)
    }
  }

  @Test func stoppingAServerThatNeverListened() async throws {
    try await EventLoops.with(threads: 2) { loops in
      let server = Self.server(loops)
      await server.shutdown()
      await server.shutdown()
    }
  }
}
