import RPC
import RPCTestSupport
import Testing
import TimeAndChance

/// Interceptors see calls of every shape on both sides: their metadata, every message, and their one end; they may change
/// messages and refuse calls.
@Suite(.timeLimit(.minutes(1))) struct InterceptorConformanceTests {
  /// Writes down what it sees, and adds a letter to messages that leave and to metadata.
  private struct Scribe: CallInterceptor {
    let name: String
    let log: Watched<[String]>
    var refuses = false

    func intercept(_ call: inout CallStart) throws(RPCError) -> (any CallObserver)? {
      if refuses { throw RPCError(.permissionDenied, "\(name) says no") }
      call.metadata.add(name, for: "seen-by")
      note("\(call.side) \(call.method.method)")
      return Observer(scribe: self)
    }

    func note(_ text: String) { log.update { $0.append("\(name): \(text)") } }
  }

  private struct Observer: CallObserver {
    let scribe: Scribe

    func willSend(_ message: inout [UInt8]) throws(RPCError) {
      message += Array(scribe.name.utf8)
      scribe.note("sends \(String(decoding: message, as: UTF8.self))")
    }

    func didReceive(_ message: inout ArraySlice<UInt8>) throws(RPCError) {
      scribe.note("receives \(String(decoding: message, as: UTF8.self))")
      if message.last == UInt8(ascii: "!") { throw RPCError(.dataLoss, "\(scribe.name) does not take this") }
    }

    func didEnd(_ error: RPCError?) { scribe.note("ends \(error.map { "\($0.code)" } ?? "OK")") }
  }

  private let client = Watched<[String]>([])
  private let server = Watched<[String]>([])

  /// Runs `body` with a channel that has two interceptors, to a server that has one.
  private func run(
    _ carrier: Carrier, _ body: @escaping @Sendable (World, any RPCChannel) async throws -> Void
  ) async throws {
    let (client, server) = (client, server)
    try await carrier.run { world in
      try await world.serve([TestService.echo], interceptors: [Scribe(name: "s", log: server)])
      let channel = InterceptingChannel(
        InterceptingChannel(world.channel, [Scribe(name: "b", log: client)]), [Scribe(name: "a", log: client)])
      try await body(world, channel)
    }
  }

  private static let patient = CallOptions(waitForReady: true)

  @Test(arguments: Carrier.allCases) func everyShapeOnBothSides(_ carrier: Carrier) async throws {
    let (client, server) = (client, server)
    @Sendable func take(_ log: Watched<[String]>) -> [String] {
      log.update { log in
        defer { log = [] }
        return log
      }
    }
    try await run(carrier) { _, channel in
      let unary: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: Self.patient)
      #expect(unary == "xabs")
      #expect(
        take(client) == [
          "a: client Unary", "a: sends xa", "b: client Unary", "b: sends xab", "b: receives xabs", "b: ends OK",
          "a: receives xabs", "a: ends OK",
        ])
      await server.wait { $0.last == "s: ends OK" }
      #expect(take(server) == ["s: server Unary", "s: receives xab", "s: sends xabs", "s: ends OK"])

      let up: TestMessage = try await channel.clientStreaming(TestService.clientStreaming, options: Self.patient) {
        (requests: RPCWriter<TestMessage>) in
        try await requests.write("1")
        try await requests.write("2")
      }
      #expect(up == "1ab,2abs")
      #expect(take(client).suffix(4) == ["b: receives 1ab,2abs", "a: receives 1ab,2abs", "b: ends OK", "a: ends OK"])
      await server.wait { $0.last == "s: ends OK" }
      #expect(
        take(server) == [
          "s: server ClientStreaming", "s: receives 1ab", "s: receives 2ab", "s: sends 1ab,2abs", "s: ends OK",
        ])

      let down = try await channel.serverStreaming(
        TestService.serverStreaming, TestMessage("1,2"), options: Self.patient
      ) { (replies: RPCReader<TestMessage>) in
        var texts: [String] = []
        while let reply = try await replies.next() { texts.append(reply.text) }
        return texts
      }
      #expect(down == ["1s", "2abs"])
      #expect(take(client).suffix(4) == ["b: receives 2abs", "a: receives 2abs", "b: ends OK", "a: ends OK"])
      await server.wait { $0.last == "s: ends OK" }
      #expect(
        take(server) == [
          "s: server ServerStreaming", "s: receives 1,2ab", "s: sends 1s", "s: sends 2abs", "s: ends OK",
        ])

      let both = try await channel.bidirectional(TestService.bidirectional, options: Self.patient) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        try await requests.write("1")
        let reply = try await replies.next()
        requests.finish()
        let end = try await replies.next()
        return [reply?.text, end?.text]
      }
      #expect(both == ["1abs", nil])
      await server.wait { $0.last == "s: ends OK" }
      #expect(take(server) == ["s: server Bidirectional", "s: receives 1ab", "s: sends 1abs", "s: ends OK"])
    }
  }

  /// Every way in which a call fails is seen as its one end.
  @Test(arguments: Carrier.allCases) func failuresAreEnds(_ carrier: Carrier) async throws {
    let (client, server) = (client, server)
    try await run(carrier) { world, channel in
      await #expect(throws: RPCError.self) {
        let _: TestMessage = try await channel.unary(
          TestService.method("Missing", .unary), TestMessage(), options: Self.patient)
      }
      #expect(client.value.suffix(2) == ["b: ends UNIMPLEMENTED", "a: ends UNIMPLEMENTED"])
      #expect(server.value == [], "there is no such method to be seen")
      // What the server's interceptor does not take: the client's letter is in front of it.
      let plain = InterceptingChannel(world.channel, [])
      let error = await #expect(throws: RPCError.self) {
        let _: TestMessage = try await plain.unary(TestService.unary, TestMessage("no!"), options: Self.patient)
      }
      #expect(error == RPCError(.dataLoss, "s does not take this"))
      await server.wait { $0.last == "s: ends DATA_LOSS" }
      // Given up in the middle of a stream.
      try await channel.bidirectional(TestService.bidirectional, options: Self.patient) {
        (requests: RPCWriter<TestMessage>, replies: RPCReader<TestMessage>) in
        try await requests.write("1")
        _ = try await replies.next()
      }
      #expect(client.value.suffix(2) == ["b: ends CANCELLED", "a: ends CANCELLED"])
      await server.wait { $0.last == "s: ends CANCELLED" }
      #expect(server.value.count { $0.hasPrefix("s: ends") } == 2)
    }
  }

  /// One that refuses keeps a call from being made, and those before it see that end.
  @Test(arguments: Carrier.allCases) func aCallCanBeRefused(_ carrier: Carrier) async throws {
    let (client, server) = (client, server)
    try await carrier.run { world in
      let denies = Scribe(name: "s", log: server, refuses: true)
      try await world.serve([TestService.echo], interceptors: [Scribe(name: "first", log: server), denies])
      let refused = RPCError(.permissionDenied, "s says no")
      await #expect(throws: refused) { try await world.unary("x") }
      #expect(server.value == ["first: server Unary", "first: ends PERMISSION_DENIED"])
      let channel = InterceptingChannel(world.channel, [Scribe(name: "c", log: client, refuses: true)])
      await #expect(throws: RPCError(.permissionDenied, "c says no")) {
        let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: Self.patient)
      }
      #expect(server.value.count == 2, "nothing was sent")
    }
  }
}
