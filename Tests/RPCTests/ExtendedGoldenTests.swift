import Foundation
import RPCTestSupport
import Testing

@testable import RPC

/// The table of bytes in docs/protocol.md is what both ends really send: it is read from the document and played.
@Suite struct ExtendedGoldenTests {
  /// One call of the table: what the client sends and what the server sends.
  private struct Exchange {
    var name: String
    var client: [UInt8] = []
    var server: [UInt8] = []
  }

  private let exchanges: [Exchange]

  init() throws {
    let document = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/protocol.md")
    let text = try String(contentsOf: document, encoding: .utf8)
    let table = try #require(text.components(separatedBy: "| HELLO | →").last)
    var exchanges: [Exchange] = []
    for line in ("| HELLO | →" + table).split(separator: "\n") {
      guard line.hasPrefix("|") else { break }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
        .map { $0.trimmingCharacters(in: .whitespaces).replacing("`", with: "") }
      try #require(cells.count == 7, "\(line)")
      if !cells[0].isEmpty && cells[0] != "HELLO ACK" { exchanges.append(Exchange(name: cells[0])) }
      let bytes = Self.bytes(cells[2...].joined())
      if cells[1] == "→" {
        exchanges[exchanges.count - 1].client += bytes
      } else {
        exchanges[exchanges.count - 1].server += bytes
      }
    }
    self.exchanges = exchanges
  }

  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { $0 != " " })
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }

  private static func method(_ name: String, _ shape: CallShape) -> MethodDescriptor {
    MethodDescriptor(service: "s.S", method: name, shape: shape)
  }

  private static let unary = method("U", .unary)
  private static let down = method("D", .serverStreaming)
  private static let up = method("C", .clientStreaming)
  private static let bidi = method("B", .bidirectional)

  @Test func theTableIsThere() {
    #expect(exchanges.map(\.name) == ["HELLO", "unary", "server stream", "client stream", "bidirectional"])
  }

  @Test func aServerAnswersAsTheTableSays() {
    @Sendable func annotate(_ context: ServerContext) {
      context.reply.headers = ["q": "r"]
      context.reply.trailers = ["t": "u"]
    }
    let service = TestService([
      .unary(Self.unary) { (request: TestMessage, context) in
        annotate(context)
        return request
      },
      .clientStreaming(Self.up) { (requests: RPCReader<TestMessage>, context) in
        annotate(context)
        var joined = ""
        for try await request in requests { joined += request.text }
        return TestMessage(joined)
      },
      .serverStreaming(Self.down) { (request: TestMessage, replies: RPCWriter<TestMessage>, context) in
        annotate(context)
        for part in request.text.split(separator: ",") { try await replies.write(TestMessage(String(part))) }
      },
      .bidirectional(Self.bidi) { (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, context) in
        annotate(context)
        for try await request in requests { try await replies.write(request) }
      },
    ])
    let simulation = Simulation()
    let connection = ServerConnection(
      io: TestIO(executor: simulation.executor), router: TestService.router(service), clock: simulation.clock)
    for exchange in exchanges {
      connection.receive(exchange.client)
      simulation.executor.run()
      #expect(connection.drainOutbound() == exchange.server, "\(exchange.name)")
    }
  }

  @Test func aClientSendsAndTakesWhatTheTableSays() throws {
    let simulation = Simulation()
    let connection = ClientConnection(io: TestIO(executor: simulation.executor), clock: simulation.clock)
    let channel = SingleConnectionChannel(connection)
    let calls: [@Sendable (CallOptions) async throws -> [String]] = [
      { _ in [] },
      { options in
        let reply: TestMessage = try await channel.unary(Self.unary, TestMessage("hi"), options: options)
        return [reply.text]
      },
      { options in
        try await channel.serverStreaming(Self.down, TestMessage("a,b"), options: options) {
          (replies: RPCReader<TestMessage>) in
          var texts: [String] = []
          while let reply = try await replies.next() { texts.append(reply.text) }
          return texts
        }
      },
      { options in
        let reply: TestMessage = try await channel.clientStreaming(Self.up, options: options) {
          (requests: RPCWriter<TestMessage>) in try await requests.write("a")
        }
        return [reply.text]
      },
      { options in
        try await channel.bidirectional(Self.bidi, options: options) {
          (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
          try await requests.write("a")
          requests.finish()
          var texts: [String] = []
          while let reply = try await replies.next() { texts.append(reply.text) }
          return texts
        }
      },
    ]
    let expected = [[], ["hi"], ["a", "b"], ["a"], ["a"]]
    for (index, exchange) in exchanges.enumerated() {
      let received = ReplyMetadata()
      let outcome = Watched<Result<[String], any Error>?>(nil)
      let call = calls[index]
      Task(executorPreference: simulation.executor) {
        do {
          let texts = try await call(CallOptions(received: received))
          outcome.update { $0 = .success(texts) }
        } catch {
          outcome.update { $0 = .failure(error) }
        }
      }
      simulation.executor.run()
      #expect(connection.drainOutbound() == exchange.client, "\(exchange.name)")
      connection.receive(exchange.server)
      simulation.executor.run()
      #expect(try outcome.value?.get() == expected[index])
      if index > 0 { #expect(received.headers == ["q": "r"] && received.trailers == ["t": "u"]) }
    }
  }
}
