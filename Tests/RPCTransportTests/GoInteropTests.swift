import Foundation
import LocalServers
import RPC
import RPCTestSupport
import RPCTransport
import Testing
import TimeAndChance

/// Calls with one reply between this runtime and containerd's own implementation of ttrpc in Go, each way: `Tests/Interop` is
/// the other end. Whether we offer our extensions makes no difference to a peer that does not know them.
@Suite(.timeLimit(.minutes(3))) struct GoInteropTests {
  private static let echo = MethodDescriptor(service: "interop.v1.Echo", method: "Echo", shape: .unary)
  private static func method(_ name: String, of service: String = "interop.v1.Echo") -> MethodDescriptor {
    MethodDescriptor(service: service, method: name, shape: .unary)
  }

  /// The program, built once.
  private static let program = Task {
    let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Interop").standardizedFileURL
    let folder = FileManager.default.temporaryDirectory.appending(path: "go-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let output = folder.appending(path: "ttrpc-peer").path()
    let log = folder.appending(path: "log")
    let build = try await ServerProcess(
      ["sh", "-c", "cd \"$1\" && exec go build -o \"$2\" .", "sh", source.path(), output], log: log,
      environment: [
        "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": folder.appending(path: "cache").path(),
        "GOFLAGS": "",
      ])
    let status = try await build.waitForExit(within: .seconds(150))
    try #require(status == 0, "\((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
    return output
  }

  /// A message of gogo's `BytesValue`: its bytes as field 1.
  private static func message(_ bytes: [UInt8]) -> TestMessage {
    if bytes.isEmpty { return TestMessage() }
    var message: [UInt8] = [0x0A]
    var length = bytes.count
    while length > 0x7F {
      message.append(UInt8(length & 0x7F) | 0x80)
      length >>= 7
    }
    return TestMessage(message + [UInt8(length)] + bytes)
  }

  private func text(_ message: TestMessage) -> String { String(decoding: message.payload.dropFirst(2), as: UTF8.self) }

  // MARK: Our client

  @Test(arguments: [true, false]) func weCallGo(offersExtensions: Bool) async throws {
    let socket = Carrier.socketPath()
    let log = FileManager.default.temporaryDirectory.appending(path: "go-\(UUID().uuidString.prefix(8)).log")
    let server = try await ServerProcess([try await Self.program.value, "server", socket], log: log)
    var limits = ConnectionLimits()
    limits.offersExtensions = offersExtensions
    let loops = EventLoops()
    let channel = ClientChannel(
      connectors: [TCPConnector(endpoint: .unix(path: socket), loops: loops, limits: limits)],
      backoff: Backoff(initial: .milliseconds(10), maximum: .milliseconds(50)))
    let running = Task { await channel.run() }
    let result = await Task { try await callGo(channel) }.result
    running.cancel()
    await running.value
    await loops.shutdown()
    await server.signal(SIGKILL)
    // Nothing of it may be left: while a child that has ended is not asked for, Swift Testing sees the end of no other.
    try await server.waitForExit(within: .seconds(10))
    try result.get()
    try? FileManager.default.removeItem(at: log)
  }

  private func callGo(_ channel: ClientChannel) async throws {
    func call(
      _ method: MethodDescriptor, _ request: TestMessage, _ options: CallOptions = CallOptions(waitForReady: true)
    ) async throws(RPCError) -> TestMessage {
      try await channel.unary(method, request, options: options)
    }
    func failure(
      _ method: MethodDescriptor, _ request: TestMessage = TestMessage(), _ options: CallOptions = CallOptions()
    ) async -> RPCError? {
      do {
        _ = try await call(method, request, options)
        return nil
      } catch {
        return error
      }
    }
    for size in [0, 1, 1000, 1 << 20] {
      let request = Self.message([UInt8](repeating: 7, count: size))
      let reply = try await call(Self.echo, request)
      #expect(reply == request)
    }
    for code in 1...16 {
      let error = await failure(Self.method("Fail"), Self.message([UInt8(code)]))
      #expect(error == RPCError(StatusCode(rawValue: Int32(code)), "as asked: \(code)"))
    }
    var options = CallOptions()
    options.metadata = ["colour": "red", "colour": "green"]
    let colours = try await call(Self.method("Metadata"), TestMessage(), options)
    #expect(text(colours) == "red,green")
    #expect(await failure(Self.method("Missing"))?.code == .unimplemented)
    #expect(await failure(Self.method("Echo", of: "interop.v1.Nobody"))?.code == .unimplemented)

    let late = await failure(Self.method("Sleep"), TestMessage(), CallOptions(timeout: .milliseconds(50)))
    #expect(late?.code == .deadlineExceeded)
    let givenUp = Task { try await channel.unary(Self.method("Sleep"), TestMessage(), options: options) as TestMessage }
    givenUp.cancel()
    let outcome = await givenUp.result
    #expect(throws: RPCError.self) { try outcome.get() }

    // Neither broke the connection: many calls at once.
    let replies = try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<200 {
        group.addTask {
          let request = Self.message(Array("\(number)".utf8))
          let reply: TestMessage = try await channel.unary(Self.echo, request, options: CallOptions())
          return reply == request
        }
      }
      var equal = 0
      for try await isEqual in group where isEqual { equal += 1 }
      return equal
    }
    #expect(replies == 200)
  }

  // MARK: Our server

  private static let service = TestService([
    .unary(echo) { (request: TestMessage, _) in request },
    .unary(method("Fail")) { (request: TestMessage, _) -> TestMessage in
      let code = Int32(request.payload[2])
      throw RPCError(StatusCode(rawValue: code), "as asked: \(code)")
    },
    .unary(method("Sleep")) { (request: TestMessage, _) in
      try await Task.sleep(for: .seconds(3600))
      return request
    },
    .unary(method("Metadata")) { (_: TestMessage, context) in
      message(Array(context.metadata.values(for: "colour").joined(separator: ",").utf8))
    },
  ])

  @Test func goCallsUs() async throws {
    let names = [
      "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
      "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
      "DataLoss", "Unauthenticated",
    ]
    let loops = EventLoops()
    let server = TCPServer(router: TestService.router(Self.service), loops: loops)
    let socket = Carrier.socketPath()
    _ = try await server.listen(at: .unix(path: socket))
    let log = FileManager.default.temporaryDirectory.appending(path: "go-\(UUID().uuidString.prefix(8)).log")
    let client = try await ServerProcess([try await Self.program.value, "client", socket], log: log)
    let status = try await client.waitForExit(within: .seconds(30))
    await server.shutdown()
    await loops.shutdown()
    #expect(status == 0)
    let lines = try String(contentsOf: log, encoding: .utf8).split(separator: "\n").map(String.init)
    var expected = [0, 1, 1000, 1 << 20].map { "Echo \($0): OK true" }
    expected += names.enumerated().map { "Fail \($0 + 1): \($1): as asked: \($0 + 1)" }
    expected += [
      "Metadata: OK red,green", "Missing: Unimplemented: service 'interop.v1.Echo' has no method 'Missing'",
      "Nobody: Unimplemented: there is no service 'interop.v1.Nobody' here", "Sleep: true", "Concurrent: 200",
    ]
    #expect(lines == expected)
    try? FileManager.default.removeItem(at: log)
  }
}
