import RPC
import RPCMemory
import RPCTestSupport
import Testing
import TimeAndChance

/// What both ends have when they speak the extensions of ttrpc, over every carrier: metadata of replies, credit, fragments,
/// a bound on calls, and connections that end without losing a call.
@Suite(.timeLimit(.minutes(1))) struct ExtensionConformanceTests {
  private static let headers: Metadata = ["colour": "red", "colour": "green", "token-bin": "AQI"]
  private static let trailers: Metadata = ["rows": "7"]

  private static func annotate(_ context: ServerContext) {
    context.reply.headers = headers
    context.reply.trailers = trailers
  }

  private func expectEcho(_ world: World) async throws {
    let reply = try await world.unary("x")
    #expect(reply == "x")
  }

  // MARK: Metadata of replies

  @Test(arguments: Carrier.allCases) func everyShapeCarriesHeadersAndTrailers(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, context) in
          Self.annotate(context)
          return request
        },
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, context) in
          Self.annotate(context)
          while try await requests.next() != nil {}
          return TestMessage("all")
        },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, context) in
          Self.annotate(context)
          try await replies.write("one")
          context.reply.headers = ["too": "late"]
        },
        .bidirectional(TestService.bidirectional) {
          (_: RPCReader<TestMessage>, _: RPCWriter<TestMessage>, context) in
          // No message: the headers come with the end.
          Self.annotate(context)
        })
      func received(_ call: (CallOptions) async throws -> Void) async throws -> [Metadata] {
        let received = ReplyMetadata()
        try await call(CallOptions(waitForReady: true, received: received))
        return [received.headers, received.trailers]
      }
      let expected = [Self.headers, Self.trailers]
      let unary = try await received { _ = try await world.unary("x", $0) }
      let clientStreaming = try await received { _ = try await world.clientStreaming($0) { try await $0.write("x") } }
      let serverStreaming = try await received { options in
        try await world.serverStreaming("x", options) { replies in
          let first = try await replies.next()
          #expect(first == "one")
          #expect(options.received?.headers == Self.headers, "headers are there before the stream ends")
          let end = try await replies.next()
          #expect(end == nil)
        }
      }
      let bidirectional = try await received { options in
        try await world.bidirectional(options) { requests, replies in
          requests.finish()
          let end = try await replies.next()
          #expect(end == nil)
        }
      }
      #expect([unary, clientStreaming, serverStreaming, bidirectional] == [expected, expected, expected, expected])
    }
  }

  @Test(arguments: Carrier.allCases) func errorsCarryTrailersAndDetails(_ carrier: Carrier) async throws {
    let failure = RPCError(.notFound, "no such thing", details: [ErrorDetail(typeURL: "type/x", value: [1, 2])])
    try await carrier.run { world in
      try await world.serve(
        .unary(TestService.unary) { (_: TestMessage, context) -> TestMessage in
          Self.annotate(context)
          throw failure
        },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, _: RPCWriter<TestMessage>, context) in
          Self.annotate(context)
          throw failure
        })
      let received = ReplyMetadata()
      let options = CallOptions(waitForReady: true, received: received)
      await #expect(throws: failure) { try await world.unary("x", options) }
      #expect(received.headers == Self.headers && received.trailers == Self.trailers)
      let ofStream = ReplyMetadata()
      await #expect(throws: failure) {
        try await world.serverStreaming("x", CallOptions(waitForReady: true, received: ofStream)) { replies in
          while try await replies.next() != nil {}
        }
      }
      #expect(ofStream.headers == Self.headers && ofStream.trailers == Self.trailers)
    }
  }

  // MARK: Fragments

  /// Messages far above a frame travel in fragments, in every shape; above both ends' limit they are refused.
  @Test(arguments: Carrier.allCases) func messagesAboveAFrame(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.maximumMessageBytes = 20 << 20
    let large = TestMessage([UInt8](repeating: 3, count: 10 << 20))
    try await carrier.run(limits) { world in
      try await world.serve([TestService.echo])
      #expect(try await world.unary(large) == large)
      let streamed = try await world.bidirectional { requests, replies in
        try await requests.write(large)
        requests.finish()
        return try await replies.next()
      }
      #expect(streamed == large)
      let error = await #expect(throws: RPCError.self) {
        try await world.unary(TestMessage([UInt8](repeating: 3, count: 21 << 20)))
      }
      #expect(error?.code == .resourceExhausted && error?.message.contains("20971520") == true)
    }
  }

  /// A large message does not keep small calls waiting: many of them are answered while it is on its way.
  @Test(arguments: Carrier.allCases) func smallCallsPassALargeMessage(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.maximumMessageBytes = 128 << 20
    try await carrier.run(limits) { world in
      try await world.serve([TestService.echo])
      _ = try await world.unary("warm")
      let isDone = Watched(false)
      let small = Watched(0)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { isDone.update { $0 = true } }
          let large = TestMessage([UInt8](repeating: 3, count: 100 << 20))
          let reply = try await world.unary(large)
          #expect(reply.payload.count == large.payload.count)
        }
        group.addTask {
          while !isDone.value {
            _ = try await world.unary("small")
            small.update { $0 += 1 }
          }
        }
        try await group.waitForAll()
      }
      #expect(small.value > 20)
    }
  }

  // MARK: Credit

  private static let message = TestMessage([UInt8](repeating: 1, count: 16 * 1024))

  /// Of a stream that nobody reads no more is under way than its window, and other calls on the connection go on.
  @Test(arguments: Carrier.allCases) func anUnreadStreamStopsAtItsWindow(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    let window = 256 * 1024
    limits.streamWindow = window
    // Would fail the call if reading stopped.
    limits.stallTimeout = .milliseconds(100)
    try await carrier.run(limits) { world in
      let written = Watched(0)
      let stop = Latch()
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in request },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          while written.value < 64 << 20 {
            try await replies.write(Self.message)
            written.update { $0 += Self.message.payload.count }
          }
        },
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) in
          await stop.wait()
          var count = 0
          while try await requests.next() != nil { count += 1 }
          return TestMessage("\(count)")
        })
      let most = window + Self.message.payload.count
      try await world.serverStreaming("x") { replies in
        await written.wait { $0 + Self.message.payload.count > window }
        for _ in 0..<200 { try await expectEcho(world) }
        #expect(written.value <= most)
        for _ in 0..<100 {
          let reply = try await replies.next()
          #expect(reply == Self.message)
        }
        await written.wait { $0 > most }
      }
      let sent = Watched(0)
      let reply = try await world.clientStreaming { requests in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            for _ in 0..<100 {
              try await requests.write(Self.message)
              sent.update { $0 += 1 }
            }
          }
          group.addTask {
            await sent.wait { ($0 + 1) * Self.message.payload.count > window }
            for _ in 0..<200 { try await expectEcho(world) }
            #expect(sent.value * Self.message.payload.count <= most)
            stop.open()
          }
          try await group.waitForAll()
        }
      }
      #expect(reply == "100")
    }
  }

  // MARK: A bound on calls

  /// Calls beyond what the server takes wait at the client, in order, and none is refused.
  @Test(arguments: Carrier.allCases) func callsBeyondTheLimitWait(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.maximumConcurrentCalls = 3
    try await carrier.run(limits) { world in
      let running = Watched(0)
      let most = Watched(0)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          let count = running.update { running in
            running += 1
            return running
          }
          most.update { $0 = max($0, count) }
          await Task.yield()
          running.update { $0 -= 1 }
          return request
        })
      _ = try await world.unary("first, so that the limit is known")
      try await withThrowingTaskGroup(of: TestMessage.self) { group in
        for number in 0..<200 { group.addTask { try await world.unary(TestMessage("\(number)")) } }
        var replies: Set<String> = []
        for try await reply in group { replies.insert(reply.text) }
        #expect(replies.count == 200)
      }
      #expect((1...3).contains(most.value))
    }
  }

  /// A call that waits until the server takes it still has its deadline, and the server never hears of it.
  @Test(arguments: Carrier.allCases) func aHeldCallHasItsDeadline(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.maximumConcurrentCalls = 1
    try await carrier.run(limits) { world in
      let release = Latch()
      let started = Watched<[String]>([])
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, _) in
          started.update { $0.append(request.text) }
          if request == "slow" { await release.wait() }
          return request
        })
      _ = try await world.unary("first")
      async let slow = world.unary("slow")
      await started.wait { $0.contains("slow") }
      await #expect(throws: RPCError.self) { try await world.unary("late", World.timeout()) }
      release.open()
      #expect(try await slow == "slow")
      #expect(try await world.unary("next") == "next")
      #expect(started.value == ["first", "slow", "next"])
    }
  }

  // MARK: The end of a connection

  /// A server that drains lets what runs end, and calls made meanwhile are made on its successor, not failed.
  @Test(arguments: Carrier.allCases) func noCallIsLostWhenServersTakeTurns(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([TestService.echo])
      _ = try await world.unary("warm")
      let isDone = Watched(false)
      let answered = Watched(0)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            while !isDone.value {
              try await expectEcho(world)
              answered.update { $0 += 1 }
            }
          }
        }
        for _ in 0..<5 {
          let before = answered.value
          await answered.wait { $0 > before + 20 }
          await world.host.drain()
          try await world.serve([TestService.echo])
        }
        isDone.update { $0 = true }
        try await group.waitForAll()
      }
    }
  }

  /// Old connections, and those without calls, end by themselves; calls go on over new ones.
  @Test(arguments: Carrier.allCases) func connectionsGrowOld(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.maximumAge = .milliseconds(30)
    try await carrier.run(limits) { world in
      let peers = Watched<Set<String>>([])
      let count = Watched(0)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, context) in
          peers.update { $0.insert(context.peer.address) }
          return request
        })
      let end = world.clock.now.advanced(by: .milliseconds(200))
      while world.clock.now < end {
        try await expectEcho(world)
        count.update { $0 += 1 }
        try await world.clock.sleep(for: .milliseconds(1))
      }
      #expect(count.value > 20)
      // Sockets show it by their ports.
      if carrier == .tcp { #expect(peers.value.count > 1) }
    }
  }

  // MARK: Pings

  /// A peer that is frozen is given up by pings, long before anything else would notice.
  @Test func aSilentServerIsGivenUp() throws {
    let simulation = Simulation()
    try simulation.run {
      var limits = ConnectionLimits()
      limits.minimumPingInterval = .seconds(1)
      limits.keepalive = Keepalive(interval: .seconds(10), timeout: .seconds(5))
      let frozen = Watched(false)
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock, limits: limits) { link, _ in
        frozen.value && link.source == "server" ? .deliver(after: .seconds(3600)) : .deliver(after: .zero)
      }
      let server = network.serve(
        TestService.router(
          TestService([
            .unary(TestService.unary) { (request: TestMessage, _) in
              if request == "freeze" { await Latch().wait() }
              return request
            }
          ])), as: "server")
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock,
        random: SeededRandom(seed: 1))
      let running = Task(executorPreference: simulation.executor) { await channel.run() }
      let reply: TestMessage = try await channel.unary(
        TestService.unary, TestMessage("x"), options: CallOptions(waitForReady: true))
      #expect(reply == "x")
      frozen.update { $0 = true }
      let start = simulation.clock.now
      let error = await #expect(throws: RPCError.self) {
        let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("freeze"), options: CallOptions())
      }
      #expect(error?.code == .unavailable && error?.message.contains("ping") == true)
      #expect(start.duration(to: simulation.clock.now) <= .seconds(16))
      server.stop()
      running.cancel()
      await running.value
    }
  }
}
