import RPC
import RPCTestSupport
import Testing
import TimeAndChance

/// Calls end early over every carrier: at a deadline, which both sides enforce; when the caller gives up, which the
/// handler's task sees; when the server answers before it has read all.
@Suite(.timeLimit(.minutes(1))) struct CancellationConformanceTests {
  /// A handler that waits until it is cancelled, and says so.
  private struct Waiting: Sendable {
    let started = Watched(0)
    let cancelled = Watched(0)

    func wait() async {
      started.update { $0 += 1 }
      // Opened by nobody: the wait ends with the task's cancellation.
      await Latch().wait()
      if Task.isCancelled { cancelled.update { $0 += 1 } }
    }

    var handlers: [MethodHandler] {
      [
        .unary(TestService.unary) { (request: TestMessage, _) in
          await wait()
          return request
        },
        .clientStreaming(TestService.clientStreaming) { (_: RPCReader<TestMessage>, _) in
          await wait()
          return TestMessage()
        },
        .serverStreaming(TestService.serverStreaming) { (_: TestMessage, replies: RPCWriter<TestMessage>, _) in
          try await replies.write("first")
          await wait()
        },
        .bidirectional(TestService.bidirectional) { (_: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          try await replies.write("first")
          await wait()
        },
      ]
    }
  }

  /// Makes a call of a shape that lasts until it is ended from outside.
  private static func call(_ world: World, _ shape: CallShape, _ options: CallOptions) async throws {
    switch shape {
    case .unary: _ = try await world.unary("x", options)
    case .clientStreaming: _ = try await world.clientStreaming(options) { try await $0.write("x") }
    case .serverStreaming:
      try await world.serverStreaming("x", options) { replies in
        while try await replies.next() != nil {}
      }
    case .bidirectional:
      try await world.bidirectional(options) { requests, replies in
        try await requests.write("x")
        while try await replies.next() != nil {}
      }
    }
  }

  @Test(arguments: Carrier.allCases, CallShape.allCases)
  func deadlines(_ carrier: Carrier, _ shape: CallShape) async throws {
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([TestService(waiting.handlers)])
      repeat {
        // On a busy machine the first deadlines may come before the call is made.
        let error = await #expect(throws: RPCError.self) { try await Self.call(world, shape, World.timeout()) }
        #expect(error?.code == .deadlineExceeded)
      } while waiting.started.value == 0
      await waiting.cancelled.wait { [started = waiting.started] in $0 == started.value }
    }
  }

  /// The deadline travels: the handler knows when its caller stops waiting. It is never later than the caller's.
  @Test(arguments: Carrier.allCases) func theHandlerKnowsTheDeadline(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let left = Watched<Duration?>(nil)
      try await world.serve(
        .unary(TestService.unary) { (request: TestMessage, context) in
          left.update { $0 = context.deadline.map { world.clock.now.duration(to: $0) } }
          return request
        })
      _ = try await world.unary("connects")
      _ = try await world.unary("x", CallOptions(timeout: .seconds(40)))
      let value = try #require(left.value)
      #expect(value <= .seconds(40) && value > .seconds(10))
      if carrier == .memory { #expect(value == .seconds(40)) }
    }
  }

  @Test(arguments: Carrier.allCases) func expiredCallsAreNotMade(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([TestService(waiting.handlers)])
      for timeout in [Duration.zero, .seconds(-1), .nanoseconds(-1)] {
        for shape in CallShape.allCases {
          let error = await #expect(throws: RPCError.self) {
            try await Self.call(world, shape, CallOptions(timeout: timeout, waitForReady: true))
          }
          #expect(error?.code == .deadlineExceeded)
        }
      }
      #expect(waiting.started.value == 0)
    }
  }

  @Test(arguments: Carrier.allCases, CallShape.allCases)
  func cancellingTheCaller(_ carrier: Carrier, _ shape: CallShape) async throws {
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([TestService(waiting.handlers)])
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          let error = await #expect(throws: RPCError.self) { try await Self.call(world, shape, World.patient) }
          #expect(error?.code == .cancelled)
        }
        await waiting.started.wait { $0 == 1 }
        group.cancelAll()
      }
      await waiting.cancelled.wait { $0 == 1 }
    }
  }

  @Test(arguments: Carrier.allCases, CallShape.allCases)
  func aCancelledTaskMakesNoCall(_ carrier: Carrier, _ shape: CallShape) async throws {
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([TestService(waiting.handlers)])
      await withTaskGroup(of: Void.self) { group in
        group.cancelAll()
        group.addTask {
          let error = await #expect(throws: RPCError.self) { try await Self.call(world, shape, World.patient) }
          #expect(error?.code == .cancelled)
        }
      }
      #expect(waiting.started.value == 0)
    }
  }

  /// A body that returns or throws before the end of the replies gives the call up.
  @Test(arguments: Carrier.allCases) func leavingAStream(_ carrier: Carrier) async throws {
    struct Enough: Error {}
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([TestService(waiting.handlers)])
      let first = try await world.serverStreaming("x") { replies in try await replies.next() }
      #expect(first == "first")
      await #expect(throws: Enough.self) {
        try await world.serverStreaming("x") { replies in
          _ = try await replies.next()
          throw Enough()
        }
      }
      let second = try await world.bidirectional { _, replies in try await replies.next() }
      #expect(second == "first")
      await #expect(throws: Enough.self) { _ = try await world.clientStreaming { _ in throw Enough() } as TestMessage }
      await waiting.cancelled.wait { $0 == 4 }
    }
  }

  /// The server answers, well or badly, while the client still sends: what `body` threw gives way to the answer.
  @Test(arguments: Carrier.allCases) func theServerEndsFirst(_ carrier: Carrier) async throws {
    let tooMuch = RPCError(.resourceExhausted, "that is enough")
    try await carrier.run { world in
      try await world.serve(
        .clientStreaming(TestService.clientStreaming) { (requests: RPCReader<TestMessage>, _) in
          let first = try #require(try await requests.next())
          if first == "fail" { throw tooMuch }
          return first
        },
        .bidirectional(TestService.bidirectional) {
          (requests: RPCReader<TestMessage>, replies: RPCWriter<TestMessage>, _) in
          if try await requests.next() == "fail" { throw tooMuch }
        })
      let payload = [UInt8](repeating: 1, count: 10_000)
      let reply = try await world.clientStreaming { requests in
        while true {
          try await requests.write("fine")
          try await requests.write(TestMessage(payload))
        }
      }
      #expect(reply == "fine")
      await #expect(throws: tooMuch) {
        try await world.clientStreaming { requests in
          try await requests.write("fail")
          while true { try await requests.write(TestMessage(payload)) }
        }
      }
      // A stream both ways throws what its body throws: the failure of the call, or that it takes no more messages.
      await #expect(throws: tooMuch) {
        try await world.bidirectional { requests, _ in
          try await requests.write("fail")
          while true { try await requests.write(TestMessage(payload)) }
        }
      }
      let error = await #expect(throws: RPCError.self) {
        try await world.bidirectional { requests, replies in
          try await requests.write("fine")
          #expect(try await replies.next() == nil)
          try await requests.write("late")
        }
      }
      #expect(error?.code == .failedPrecondition)
    }
  }

  @Test(arguments: Carrier.allCases) func writingAfterFinish(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      try await world.serve([TestService.echo])
      try await world.bidirectional { requests, replies in
        try await requests.write("a")
        requests.finish()
        let error = await #expect(throws: RPCError.self) { try await requests.write("b") }
        #expect(error?.code == .failedPrecondition)
        #expect(try await replies.next() == "a")
        #expect(try await replies.next() == nil)
      }
    }
  }

  /// Whatever a call does, neither end keeps anything of it: many calls of all kinds, ended in all ways at once.
  @Test(arguments: Carrier.allCases) func nothingIsKept(_ carrier: Carrier) async throws {
    try await carrier.run { world in
      let waiting = Waiting()
      try await world.serve([
        TestService(waiting.handlers),
        TestService([
          .unary(MethodDescriptor(service: "test.v1.Quick", method: "Echo", shape: .unary)) {
            (request: TestMessage, _) in request
          }
        ]),
      ])
      let echo = MethodDescriptor(service: "test.v1.Quick", method: "Echo", shape: .unary)
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<400 {
          group.addTask {
            // Some end at their deadline, some are cancelled, some succeed; which does not matter.
            let timeout = Duration.milliseconds(1 + number % 40)
            if number % 4 == 0 {
              let _: TestMessage? = try? await world.channel.unary(
                echo, TestMessage("x"), options: World.timeout(timeout))
            } else {
              try? await Self.call(world, CallShape.allCases[number % 4], World.timeout(timeout))
            }
          }
        }
        for _ in 0..<200 { await group.next() }
        group.cancelAll()
      }
      await waiting.cancelled.wait { [started = waiting.started] in $0 == started.value }
      let reply: TestMessage = try await world.channel.unary(echo, TestMessage("after"), options: World.patient)
      #expect(reply == "after")
    }
  }
}
