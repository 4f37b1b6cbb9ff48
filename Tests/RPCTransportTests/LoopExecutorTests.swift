import NIOCore
import NIOPosix
import RPCTestSupport
import Testing
import TimeAndChance

@testable import RPC
@testable import RPCTransport

/// Handlers share their event loop's thread with its sockets and with each other: none of them can take it for itself, as
/// long as it suspends.
@Suite(.timeLimit(.minutes(1))) struct LoopExecutorTests {
  private func withServer(
    _ services: [any RPCService], _ body: @Sendable (ClientChannel, Endpoint, EventLoops) async throws -> Void
  ) async throws {
    let serverLoops = EventLoops(threads: 1)
    let clientLoops = EventLoops(threads: 1)
    let server = TCPServer(router: RPCRouter(services: services) { _, _ in }, loops: serverLoops)
    let endpoint = try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))
    let channel = ClientChannel(connectors: [TCPConnector(endpoint: endpoint, loops: clientLoops)])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await channel.run() }
      try await body(channel, endpoint, clientLoops)
      group.cancelAll()
    }
    await server.shutdown()
    await serverLoops.shutdown()
    await clientLoops.shutdown()
  }

  private static func call(_ channel: ClientChannel, _ method: MethodDescriptor) async throws -> TestMessage {
    try await channel.unary(method, TestMessage("x"), options: World.patient)
  }

  /// A handler that yields for ever, until another call, on the same connection, lets it end.
  @Test(arguments: [1, 50]) func yieldingDoesNotStarveTheSockets(handlers: Int) async throws {
    let release = Latch()
    let started = Watched(0)
    let service = TestService([
      .unary(TestService.method("Spin", .unary)) { (request: TestMessage, _) in
        started.update { $0 += 1 }
        while !release.isOpen { await Task.yield() }
        return request
      },
      .unary(TestService.method("Release", .unary)) { (request: TestMessage, _) in
        release.open()
        return request
      },
    ])
    try await withServer([service]) { channel, _, _ in
      try await withThrowingTaskGroup(of: TestMessage.self) { group in
        for _ in 0..<handlers { group.addTask { try await Self.call(channel, TestService.method("Spin", .unary)) } }
        await started.wait { $0 == handlers }
        _ = try await Self.call(channel, TestService.method("Release", .unary))
        #expect(try await group.reduce(0) { count, _ in count + 1 } == handlers)
      }
    }
  }

  /// What the first of many handlers have sent leaves before the last have run, so that the peer can work meanwhile.
  @Test func theLoopGoesOnBetweenJobs() async throws {
    try await EventLoops.with(threads: 1) { loops in
      let loop = loops.group.any()
      let executor = loops.executor(of: loop)
      let finished = Watched(0)
      let finishedBefore = Watched<Int?>(nil)
      let jobs = 100
      try await loop.submit {
        for index in 0..<jobs {
          Task(executorPreference: executor) {
            if index == 0 { loop.execute { finishedBefore.update { $0 = finished.value } } }
            finished.update { $0 += 1 }
          }
        }
      }.get()
      await finishedBefore.wait { $0 != nil }
      #expect((1..<jobs).contains(finishedBefore.value ?? 0))
    }
  }

  /// A stream that is read as fast as it is written does not keep other calls out, on its connection or on another.
  @Test func streamingDoesNotStarveOthers() async throws {
    let release = Latch()
    let service = TestService([
      .serverStreaming(TestService.serverStreaming) { (request: TestMessage, replies: RPCWriter<TestMessage>, _) in
        while !release.isOpen { try await replies.write(request) }
      },
      TestService.echo.methodHandlers[0],
    ])
    try await withServer([service]) { channel, endpoint, loops in
      let other = SingleConnectionChannel(try await TCPConnector(endpoint: endpoint, loops: loops).connect())
      try await withThrowingTaskGroup(of: Int.self) { group in
        group.addTask {
          let request = TestMessage([UInt8](repeating: 1, count: 1000))
          return try await channel.serverStreaming(TestService.serverStreaming, request, options: World.patient) {
            (replies: RPCReader<TestMessage>) in
            var count = 0
            while try await replies.next() != nil { count += 1 }
            return count
          }
        }
        for _ in 0..<100 {
          #expect(try await Self.call(channel, TestService.unary) == "x")
          let reply: TestMessage = try await other.unary(TestService.unary, TestMessage("y"), options: CallOptions())
          #expect(reply == "y")
        }
        release.open()
        #expect(try #require(try await group.next()) > 0)
      }
      other.connection.close()
    }
  }

  /// Handlers run on their loop's thread, also after they waited for something elsewhere.
  @Test func handlersStayOnTheirLoop() async throws {
    let threads = Watched<Set<Bool>>([])
    let loops = EventLoops(threads: 1)
    let loop = loops.group.any()
    let service = TestService([
      .unary(TestService.unary) { (request: TestMessage, _) in
        for _ in 0..<10 {
          threads.update { _ = $0.insert(loop.inEventLoop) }
          await Task.detached { await Task.yield() }.value
        }
        return request
      }
    ])
    let server = TCPServer(router: TestService.router(service), loops: loops)
    let socket = try RawSocket(try await server.listen(at: .tcp(host: "127.0.0.1", port: 0)))
    for id in stride(from: 1 as UInt32, to: 41, by: 2) { try socket.send(.request(TestService.unary, on: id)) }
    for _ in 0..<20 { _ = try socket.receive() }
    #expect(threads.value == [true])
    await server.shutdown()
    await loops.shutdown()
  }

  /// Many threads make calls on one connection and end them in every way: nothing is left, nothing is mixed up.
  @Test func manyThreads() async throws {
    try await withServer([TestService.echo]) { _, endpoint, loops in
      let connection = try await TCPConnector(endpoint: endpoint, loops: loops).connect()
      let channel = SingleConnectionChannel(connection)
      await withTaskGroup(of: Void.self) { group in
        for worker in 0..<16 {
          group.addTask {
            for number in 0..<200 {
              let text = "\(worker) \(number)"
              let call = Task {
                if number % 2 == 0 {
                  let reply: TestMessage = try await channel.unary(
                    TestService.unary, TestMessage(text), options: CallOptions())
                  return reply.text
                }
                return try await channel.bidirectional(TestService.bidirectional, options: CallOptions()) {
                  (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
                  try await requests.write(TestMessage(text))
                  requests.finish()
                  let reply = try await replies.next()
                  _ = try await replies.next()
                  return reply?.text ?? ""
                }
              }
              if number % 3 == 0 {
                for _ in 0..<number % 7 { await Task.yield() }
                call.cancel()
              }
              switch await call.result {
              case .success(let reply): #expect(reply == text)
              case .failure(let error): #expect((error as? RPCError)?.code == .cancelled && number % 3 == 0)
              }
            }
          }
        }
      }
      #expect(connection.callCount == 0)
      connection.close()
    }
  }
}
