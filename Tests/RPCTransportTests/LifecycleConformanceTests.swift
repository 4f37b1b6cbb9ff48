import RPCTestSupport
import Testing
import TimeAndChance

@testable import RPC

/// Servers come and go, over every carrier: a channel waits or fails as it was asked, running calls end or learn that they
/// cannot, and the next connection is made by itself.
@Suite(.timeLimit(.minutes(1))) struct LifecycleConformanceTests {
  /// A handler that answers when it is let go.
  private struct Held: Sendable {
    let started = Watched(0)
    let release = Latch()

    var handlers: [MethodHandler] {
      [
        .unary(TestService.unary) { (request: TestMessage, _) in
          if request == "hold" {
            started.update { $0 += 1 }
            await release.wait()
          }
          return request
        },
        .bidirectional(TestService.bidirectional) {
          (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          for try await request in requests { try await replies.write(request) }
        },
      ]
    }
  }

  private static func code(_ body: () async throws -> Void) async -> StatusCode? {
    await #expect(throws: RPCError.self) { try await body() }?.code
  }

  /// Without a server: patient calls wait until there is one, others fail and say why.
  @Test(arguments: Carrier.allCases) func waitForReady(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let error = await #expect(throws: RPCError.self) {
        while true { _ = try await world.unary("x", CallOptions()) }
      }
      #expect(error?.code == .unavailable && error?.message.contains("cannot connect to") == true, "\(error as Any)")
      #expect(await Self.code { _ = try await world.unary("x", World.timeout()) } == .deadlineExceeded)
      await withThrowingTaskGroup(of: TestMessage.self) { group in
        for number in 0..<20 { group.addTask { try await world.unary(TestMessage("\(number)")) } }
        group.addTask {
          try await world.serve([TestService.echo])
          return TestMessage()
        }
        do {
          while try await group.next() != nil {}
        } catch {
          Issue.record(error)
        }
      }
      let reply = try await world.unary("now", CallOptions())
      #expect(reply == "now")
    }
  }

  @Test(arguments: Carrier.allCases) func waitingForAConnectionCanBeCancelled(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      await withTaskGroup(of: Void.self) { group in
        for options in [World.patient, World.timeout(.seconds(3600))] {
          group.addTask { #expect(await Self.code { _ = try await world.unary("x", options) } == .cancelled) }
        }
        group.cancelAll()
      }
    }
  }

  @Test(arguments: Carrier.allCases) func drainLetsCallsEnd(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let held = Held()
      try await world.serve([TestService(held.handlers)])
      await withTaskGroup(of: Void.self) { group in
        group.addTask { #expect((try? await world.unary("hold")) == "hold") }
        await held.started.wait { $0 == 1 }
        group.addTask { await world.host.drain() }
        // New calls are refused as soon as the server knows; the running ones go on.
        #expect(
          await Self.code {
            while true { _ = try await world.unary("x", CallOptions()) }
          } == .unavailable)
        held.release.open()
      }
    }
  }

  @Test(arguments: Carrier.allCases) func drainLetsStreamsEnd(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let held = Held()
      try await world.serve([TestService(held.handlers)])
      let drained = Latch()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          try await world.bidirectional { requests, replies in
            try await requests.write("a")
            #expect(try await replies.next() == "a")
            held.started.update { $0 += 1 }
            await drained.wait()
            try await requests.write("b")
            #expect(try await replies.next() == "b")
            requests.finish()
            #expect(try await replies.next() == nil)
          }
        }
        await held.started.wait { $0 == 1 }
        group.addTask { await world.host.drain() }
        #expect(
          await Self.code {
            while true { _ = try await world.unary("x", CallOptions()) }
          } == .unavailable)
        drained.open()
        try await group.waitForAll()
      }
      // The next server is found without a word.
      try await world.serve([TestService.echo])
      #expect(try await world.unary("again") == "again")
    }
  }

  /// A crash in the middle of calls of every shape: all fail with UNAVAILABLE, and the next calls reach the next server.
  @Test(arguments: Carrier.allCases) func lossAndReconnect(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      for round in 0..<3 {
        let held = Held()
        try await world.serve([TestService(held.handlers)])
        #expect(try await world.unary("x") == "x")
        try await withThrowingTaskGroup(of: StatusCode?.self) { group in
          for _ in 0..<10 {
            group.addTask { await Self.code { _ = try await world.unary("hold") } }
            group.addTask {
              await Self.code {
                try await world.bidirectional { requests, replies in
                  try await requests.write("a")
                  _ = try await replies.next()
                  held.started.update { $0 += 1 }
                  while try await replies.next() != nil {}
                }
              }
            }
          }
          await held.started.wait { $0 == 20 }
          await world.host.crash()
          for try await code in group { #expect(code == .unavailable, "round \(round)") }
        }
      }
      try await world.serve([TestService.echo])
      #expect(try await world.unary("again") == "again")
    }
  }

  /// When the channel is closed, what runs and what waits fails.
  @Test(arguments: Carrier.allCases) func closingTheChannel(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let held = Held()
      try await world.serve([TestService(held.handlers)])
      let channel = ClientChannel(connectors: [world.host.connector()], clock: world.clock)
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          #expect(
            await Self.code {
              let _: TestMessage = try await channel.unary(
                TestService.unary, TestMessage("hold"), options: World.patient)
            } == .unavailable)
        }
        await withTaskGroup(of: Void.self) { running in
          running.addTask { await channel.run() }
          await held.started.wait { $0 == 1 }
          running.cancelAll()
        }
      }
      #expect(
        await Self.code {
          let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: World.patient)
        } == .unavailable)
    }
  }

  /// A connection whose stream ids are used up is replaced; the calls on it end there.
  @Test(arguments: Carrier.allCases) func streamIDsRunOut(_ carrier: Carrier) async throws {
    var limits = ConnectionLimits()
    limits.lastStreamID = StreamID(9)
    try await carrier.run(limits) { world in
      let held = Held()
      try await world.serve([TestService(held.handlers)])
      try await withThrowingTaskGroup(of: TestMessage.self) { group in
        group.addTask { try await world.unary("hold") }
        await held.started.wait { $0 == 1 }
        for number in 0..<50 { #expect(try await world.unary(TestMessage("\(number)")) == TestMessage("\(number)")) }
        for number in 0..<50 { group.addTask { try await world.unary(TestMessage("\(number)")) } }
        for _ in 0..<50 { _ = try await group.next() }
        held.release.open()
        #expect(try await group.next() == "hold")
      }
    }
  }

  /// The first address that answers is used.
  @Test(arguments: Carrier.allCases) func severalAddresses(_ carrier: Carrier) async throws {
    struct Broken: ClientConnector {
      let target = "nowhere"
      func connect() async throws(RPCError) -> ClientConnection { throw RPCError(.unavailable, "nowhere is broken") }
    }
    try await carrier.run { world in
      let channel = ClientChannel(connectors: [Broken(), world.host.connector(), Broken()], clock: world.clock)
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        let error = await #expect(throws: RPCError.self) {
          let _: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: CallOptions())
        }
        #expect(error?.message.hasPrefix("nowhere is broken; cannot connect to") == true)
        #expect(error?.message.hasSuffix("; nowhere is broken") == true)
        do {
          try await world.serve([TestService.echo])
          let reply: TestMessage = try await channel.unary(TestService.unary, TestMessage("x"), options: World.patient)
          #expect(reply == "x")
        } catch {
          Issue.record(error)
        }
        group.cancelAll()
      }
    }
  }
}
