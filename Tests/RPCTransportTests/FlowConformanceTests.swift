import RPC
import RPCTestSupport
import Testing
import TimeAndChance

/// Whoever is slow slows the other down, over every carrier: what is under way stays bounded, nothing is lost, and one
/// stream that stands still does not take the others down.
@Suite(.timeLimit(.minutes(1))) struct FlowConformanceTests {
  private static let message = TestMessage([UInt8](repeating: 1, count: 64 * 1024))

  /// What may be under way at most: the queue at the reader, what is to be written at the writer, and what the carrier
  /// keeps; for sockets the system's buffers, which grow up to 10 MiB on loopback.
  private static func bound(_ carrier: Carrier) -> Int { carrier == .memory ? 3 << 20 : 24 << 20 }
  /// Far more than that.
  private static let muchMore = 64 << 20

  /// A handler that does not read: its client stops writing. The deadline ends the call.
  @Test(arguments: Carrier.allCases) func aServerThatDoesNotRead(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve(
        .clientStreaming(TestService.clientStreaming) { (_: RPCReader<TestMessage>, _) in
          await Latch().wait()
          return TestMessage()
        })
      let written = Watched(0)
      let error = await #expect(throws: RPCError.self) {
        try await world.clientStreaming(World.timeout(.seconds(1))) { requests in
          while written.value < Self.muchMore {
            try await requests.write(Self.message)
            written.update { $0 += Self.message.payload.count }
          }
        }
      }
      #expect(error?.code == .deadlineExceeded)
      #expect(written.value < Self.bound(carrier))
      // In real time a busy machine may not come so far.
      if carrier == .memory { #expect(written.value >= 1 << 20) }
    }
  }

  /// A client that does not read: the handler stops writing, and the connection reads no more requests.
  @Test(arguments: Carrier.allCases) func aClientThatDoesNotRead(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let written = Watched(0)
      let ended = Latch()
      try await world.serve(
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          defer { ended.open() }
          while written.value < Self.muchMore {
            try await replies.write(Self.message)
            written.update { $0 += Self.message.payload.count }
          }
        })
      let error = await #expect(throws: RPCError.self) {
        try await world.serverStreaming("x", World.timeout(.seconds(1))) { replies in
          await ended.wait()
          while try await replies.next() != nil {}
        }
      }
      #expect(error?.code == .deadlineExceeded)
      #expect(written.value < Self.bound(carrier))
      // In real time a busy machine may not come so far.
      if carrier == .memory { #expect(written.value >= 1 << 20) }
    }
  }

  /// A reader that pauses and goes on gets everything, in order, both ways.
  @Test(arguments: Carrier.allCases) func pausesLoseNothing(_ carrier: Carrier) async throws {
    let count = 500
    try await carrier.run { world in
      let sent = Watched(0)
      try await world.serve(
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) in
          // By now the client has little credit left, and soon none.
          await sent.wait { $0 >= 10 }
          var received = 0
          while let request = try await requests.next() {
            #expect(request.payload.prefix(2) == [UInt8(received % 200), UInt8(received / 200)])
            received += 1
          }
          return TestMessage("\(received)")
        },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          for number in 0..<count {
            try await replies.write(Self.numbered(number))
            sent.update { $0 += 1 }
          }
        })
      let reply = try await world.clientStreaming { requests in
        for number in 0..<count {
          try await requests.write(Self.numbered(number))
          sent.update { $0 += 1 }
        }
      }
      #expect(reply.text == "\(count)")
      sent.update { $0 = 0 }
      let received = try await world.serverStreaming("x") { replies in
        await sent.wait { $0 >= 10 }
        var received = 0
        while let message = try await replies.next() {
          #expect(message.payload.prefix(2) == [UInt8(received % 200), UInt8(received / 200)])
          received += 1
        }
        return received
      }
      #expect(received == count)
    }
  }

  private static func numbered(_ number: Int) -> TestMessage {
    TestMessage([UInt8(number % 200), UInt8(number / 200)] + [UInt8](repeating: 0, count: 64 * 1024))
  }

  /// Both sides only write until they have written all, then read: more than the buffers between them, so that each must
  /// wait for the other to begin reading. The client reads while it writes; the handler does not.
  @Test(arguments: Carrier.allCases) func bothWaysAtOnce(_ carrier: Carrier) async throws {
    let count = 200
    try await carrier.run { world in
      try await world.serve(
        .bidirectional(TestService.bidirectional) {
          (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          for try await request in requests { try await replies.write(request) }
        })
      let received = try await world.bidirectional { requests, replies in
        try await withThrowingTaskGroup(of: Int.self) { group in
          group.addTask {
            for _ in 0..<count { try await requests.write(Self.message) }
            requests.finish()
            return 0
          }
          group.addTask {
            var received = 0
            for try await reply in replies where reply == Self.message { received += 1 }
            return received
          }
          return try await group.reduce(0, +)
        }
      }
      #expect(received == count)
    }
  }

  /// Without credit, a handler that does not read its stream is failed after a while, with RESOURCE_EXHAUSTED; until then the connection
  /// stands still, and then others go on.
  @Test(arguments: Carrier.allCases) func aStalledHandlerFailsAlone(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.stallTimeout = .milliseconds(100)
    limits.offersExtensions = false
    try await carrier.run(limits) { world in
      let stopped = Latch()
      try await world.serve(
        TestService.echo.methodHandlers[0],
        .clientStreaming(TestService.clientStreaming) { (_: RPCReader<TestMessage>, _) in
          await Latch().wait()
          stopped.open()
          return TestMessage()
        })
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          let error = await #expect(throws: RPCError.self) {
            try await world.clientStreaming { requests in
              for _ in 0..<1000 { try await requests.write(Self.message) }
            }
          }
          #expect(error?.code == .resourceExhausted)
        }
        group.addTask {
          await stopped.wait()
          let reply = try await world.unary("others")
          #expect(reply == "others")
        }
        try await group.waitForAll()
      }
    }
  }

  /// The same on the client's side: replies that nobody reads.
  @Test(arguments: Carrier.allCases) func aStalledReaderFailsAlone(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.stallTimeout = .milliseconds(100)
    limits.offersExtensions = false
    try await carrier.run(limits) { world in
      let stopped = Latch()
      try await world.serve(
        TestService.echo.methodHandlers[0],
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          defer { stopped.open() }
          while true { try await replies.write(Self.message) }
        })
      try await world.serverStreaming("x") { replies in
        await stopped.wait()
        let reply = try await world.unary("others")
        #expect(reply == "others")
        let error = await #expect(throws: RPCError.self) { try await replies.next() }
        #expect(error?.code == .resourceExhausted)
      }
    }
  }
}
