import FaultyNetworking
import NIOCore
import NIOPosix
import Testing

// Proves that the proxy does to bytes and connections what it is told, and nothing else: a client talks through it with a
// server that answers each piece with the same, over real sockets.
@Suite("The proxy does to connections what it is told")
struct FaultProxyTests {
  @Test func whatPassesIsUnchanged() async throws {
    try await Rig.with { rig in
      try await rig.client { client in
        try await client.send("hello")
        #expect(try await client.receive() == "hello")
      }
      #expect(rig.proxy.hits.pieces == 0 && rig.proxy.hits.connections == 0)
    }
  }

  @Test(arguments: FaultProxy.Direction.allCases) func whatIsHeldComesLate(_ direction: FaultProxy.Direction)
    async throws
  {
    try await Rig.with { rig in
      try await rig.client { client in
        var weather = FaultProxy.Weather()
        weather.held = [direction]
        rig.proxy.set(weather)
        try await client.send("late")
        try await rig.until { rig.proxy.hits.pieces == 1 }
        rig.proxy.set(FaultProxy.Weather())
        #expect(try await client.receive() == "late")
      }
    }
  }

  @Test func whatIsLostNeverComes() async throws {
    try await Rig.with { rig in
      try await rig.client { client in
        var weather = FaultProxy.Weather()
        weather.lost = [.toServer]
        rig.proxy.set(weather)
        try await client.send("lost")
        try await rig.until { rig.proxy.hits.pieces == 1 }
        rig.proxy.set(FaultProxy.Weather())
        try await client.send("found")
        #expect(try await client.receive() == "found")
      }
    }
  }

  @Test func aCutPieceComesByHalfAndIsTheLast() async throws {
    try await Rig.with { rig in
      try await rig.client { client in
        rig.proxy.cutNext(.toClient)
        try await client.send("12345678")
        #expect(try await client.receiveAll() == "1234")
      }
      #expect(rig.proxy.hits.connections == 1)
    }
  }

  @Test func aResetEndsEveryConnection() async throws {
    try await Rig.with { rig in
      try await rig.client { client in
        try await client.send("x")
        #expect(try await client.receive() == "x")
        #expect(rig.proxy.reset() == 1)
        #expect(try await client.receiveAll() == "")
      }
    }
  }

  @Test func aRefusedConnectionEndsAtOnce() async throws {
    try await Rig.with { rig in
      var weather = FaultProxy.Weather()
      weather.refuses = true
      rig.proxy.set(weather)
      try await rig.client { client in
        let text = try await client.receiveAll()
        #expect(text == "")
      }
      #expect(rig.proxy.hits.connections == 1)
    }
  }

  /// Connections that come at that moment are nobody's: they close with the listener or later, and harm nothing.
  @Test func itStopsWhileClientsConnect() async throws {
    for _ in 0..<20 {
      try await Rig.with { rig in
        let group = rig.group
        let address = rig.proxy.address
        for _ in 0..<20 {
          _ = ClientBootstrap(group: group).connect(to: address).map { $0.close(promise: nil) }
        }
      }
    }
  }

  @Test func movedConnectionsGoToTheOtherServer() async throws {
    try await Rig.with { rig in
      try await Rig.withServer(rig.group, prefix: "other ") { address in
        rig.proxy.move(to: address)
        try await rig.client { client in
          try await client.send("x")
          #expect(try await client.receive() == "other x")
        }
      }
    }
  }
}

private struct Rig {
  let proxy: FaultProxy
  let group = MultiThreadedEventLoopGroup.singleton

  static func with(_ body: (Rig) async throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    try await withServer(group, prefix: "") { address in
      let proxy = try await FaultProxy(
        listen: try SocketAddress(ipAddress: "127.0.0.1", port: 0), upstream: address, group: group)
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { await proxy.run() }
        try await body(Rig(proxy: proxy))
        tasks.cancelAll()
      }
    }
  }

  /// A server that answers each piece with a prefix and the same.
  static func withServer(
    _ group: MultiThreadedEventLoopGroup, prefix: String, _ body: (SocketAddress) async throws -> Void
  ) async throws {
    let listener = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(PrefixHandler(prefix: prefix))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(try #require(listener.localAddress)))
    } catch {
      result = .failure(error)
    }
    try await listener.close().get()
    try result.get()
  }

  struct Client {
    fileprivate var input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    fileprivate let output: NIOAsyncChannelOutboundWriter<ByteBuffer>

    func send(_ text: String) async throws { try await output.write(ByteBuffer(string: text)) }

    mutating func receive() async throws -> String {
      let piece = try await input.next(isolation: nil)
      return String(buffer: try #require(piece))
    }

    /// What comes until the connection ends, in order or not.
    mutating func receiveAll() async throws -> String {
      var text = ""
      while let piece = try? await input.next(isolation: nil) { text += String(buffer: piece) }
      return text
    }
  }

  /// Lends a client that talks through the proxy.
  func client(_ body: (inout Client) async throws -> Void) async throws {
    let channel = try await ClientBootstrap(group: group).connect(to: proxy.address) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    // A connection that the proxy has broken cannot be closed in order.
    try await channel.executeThenClose { input, output in
      var client = Client(input: input.makeAsyncIterator(), output: output)
      try await body(&client)
    }
  }

  /// Waits for what the other threads do.
  func until(_ condition: () -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(10)
    while !condition() {
      try #require(ContinuousClock.now < limit)
      await Task.yield()
    }
  }
}

/// Answers each piece with a prefix and the same. Not with `NIOAsyncChannel`, as the clients: connections come that nobody
/// will take, and what is wrapped must be used.
private final class PrefixHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let prefix: String

  init(prefix: String) { self.prefix = prefix }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var answer = ByteBuffer(string: prefix)
    answer.writeImmutableBuffer(Self.unwrapInboundIn(data))
    context.writeAndFlush(Self.wrapOutboundOut(answer), promise: nil)
  }
}
