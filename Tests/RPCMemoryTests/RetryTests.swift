import RPC
import RPCMemory
import RPCTestSupport
import Synchronization
import Testing
import TimeAndChance

/// Which calls are made again, when, and how often: by method, code, deadline, budget, and the server's wish.
@Suite struct RetryTests {
  private static let safe = MethodDescriptor(
    service: "test.v1.Test", method: "Safe", shape: .unary, idempotency: .noSideEffects)
  private static let unsafe = MethodDescriptor(service: "test.v1.Test", method: "Unsafe", shape: .unary)

  /// One attempt as the server saw it.
  private struct Attempt: Hashable, Sendable {
    var at: Duration
    var previous: String?
  }

  /// Calls `method` on a server that fails as `failures` say, one after another, and then succeeds.
  private func attempts(
    _ method: MethodDescriptor = safe, failing failures: [StatusCode], pushback: String? = nil,
    policy: RetryPolicy = RetryPolicy(backoff: Backoff(initial: .milliseconds(100), maximum: .milliseconds(100))),
    budget: RetryBudget = RetryBudget(), options: CallOptions = CallOptions(), calls: Int = 1
  ) throws -> (attempts: [Attempt], outcomes: [StatusCode]) {
    let simulation = Simulation()
    let seen = Mutex<[Attempt]>([])
    let outcomes = try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let service = TestService([
        .unary(method) { (request: TestMessage, context) in
          let number = seen.withLock { seen in
            seen.append(
              Attempt(at: simulation.clock.elapsed, previous: context.metadata["grpc-previous-rpc-attempts"]))
            return seen.count
          }
          guard number <= failures.count else {
            context.reply.trailers = ["attempt": "\(number)"]
            return request
          }
          if let pushback { context.reply.trailers = ["grpc-retry-pushback-ms": pushback] }
          throw RPCError(failures[number - 1], "attempt \(number)")
        }
      ])
      _ = network.serve(TestService.router(service), as: "server")
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock)
      let retrying = RetryingChannel(
        channel, policy: policy, budget: budget, clock: simulation.clock, random: SeededRandom(seed: 1))
      return await withTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        defer { group.cancelAll() }
        var outcomes: [StatusCode] = []
        for _ in 0..<calls {
          do throws(RPCError) {
            let _: TestMessage = try await retrying.unary(method, TestMessage("x"), options: options)
            outcomes.append(.ok)
          } catch {
            outcomes.append(error.code)
          }
        }
        return outcomes
      }
    }
    return (seen.withLock { $0 }, outcomes)
  }

  @Test func aCallIsMadeAgainUntilItSucceeds() throws {
    let received = ReplyMetadata()
    let (attempts, outcomes) = try attempts(
      failing: [.unavailable, .unavailable], options: CallOptions(received: received))
    #expect(outcomes == [.ok])
    #expect(
      attempts == [
        Attempt(at: .zero, previous: nil), Attempt(at: .milliseconds(100), previous: "1"),
        Attempt(at: .milliseconds(200), previous: "2"),
      ])
    #expect(received.trailers["attempt"] == "3", "the caller sees the metadata of the last attempt")
  }

  @Test func attemptsAreBounded() throws {
    let (attempts, outcomes) = try attempts(failing: Array(repeating: .unavailable, count: 9))
    #expect(attempts.count == 4 && outcomes == [.unavailable])
  }

  @Test func otherMethodsAndCodesAreLeftAlone() throws {
    #expect(try attempts(Self.unsafe, failing: [.unavailable]).attempts.count == 1)
    for code in (1...16).compactMap(StatusCode.init(rawValue:)) where code != .unavailable {
      let (attempts, outcomes) = try attempts(failing: [code])
      #expect(attempts.count == 1 && outcomes == [code])
    }
    let policy = RetryPolicy(codes: [.aborted])
    #expect(try attempts(failing: [.aborted], policy: policy).attempts.count == 2)
    #expect(try attempts(failing: [.unavailable], policy: policy).attempts.count == 1)
  }

  @Test func theServerMayChooseThePause() throws {
    #expect(try attempts(failing: [.unavailable], pushback: "5000").attempts.map(\.at) == [.zero, .seconds(5)])
    for pushback in ["-1", "soon", ""] {
      #expect(try attempts(failing: [.unavailable], pushback: pushback).attempts.count == 1, "\(pushback)")
    }
  }

  /// The deadline is that of all attempts together; a pause that would not end before it is not begun.
  @Test func theDeadlineIsThatOfTheWholeCall() throws {
    let (attempts, outcomes) = try attempts(
      failing: Array(repeating: .unavailable, count: 9), options: CallOptions(timeout: .milliseconds(250)))
    #expect(attempts.map(\.at) == [.zero, .milliseconds(100), .milliseconds(200)])
    #expect(outcomes == [.unavailable])
  }

  /// With half the tokens gone nothing is made again; successes bring them back.
  @Test func theBudgetIsShared() throws {
    let budget = RetryBudget(tokens: 4, refund: 0.5)
    let failing = try attempts(failing: Array(repeating: .unavailable, count: 99), budget: budget, calls: 5)
    // 4 → 3 (again) → 2 (no more); then one attempt for each call.
    #expect(failing.attempts.count == 2 + 4 && failing.outcomes == Array(repeating: .unavailable, count: 5))
    let recovering = try attempts(failing: [], budget: budget, calls: 5)
    #expect(recovering.attempts.count == 5)
    // 0 + 5 · 0.5 = 2.5 → 1.5: not yet.
    #expect(try attempts(failing: [.unavailable], budget: budget).attempts.count == 1)
    _ = try attempts(failing: [], budget: budget, calls: 5)
    #expect(try attempts(failing: [.unavailable], budget: budget).attempts.count == 2)
  }

  /// A stream that cannot be opened has not been sent: it may be opened again, whatever its method.
  @Test func streamsAreOpenedAgain() throws {
    let simulation = Simulation()
    try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock,
        backoff: Backoff(initial: .seconds(1), maximum: .seconds(1)))
      let retrying = RetryingChannel(
        channel, policy: RetryPolicy(backoff: Backoff(initial: .seconds(2), maximum: .seconds(2))),
        clock: simulation.clock)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        group.addTask {
          try await simulation.clock.sleep(for: .milliseconds(500))
          _ = network.serve(TestService.router(TestService.echo), as: "server")
        }
        defer { group.cancelAll() }
        let replies = try await retrying.serverStreaming(
          TestService.serverStreaming, TestMessage("a,b"), options: CallOptions()
        ) { (replies: RPCReader<TestMessage>) in
          var texts: [String] = []
          for try await reply in replies { texts.append(reply.text) }
          return texts
        }
        #expect(replies == ["a", "b"])
      }
    }
  }

  @Test func aPauseCanBeCancelled() throws {
    let simulation = Simulation()
    try simulation.run { [simulation] in
      let network = MemoryNetwork(executor: simulation.executor, clock: simulation.clock)
      let channel = ClientChannel(
        connectors: [network.connector(from: "client", to: "server")], clock: simulation.clock)
      let retrying = RetryingChannel(
        channel, policy: RetryPolicy(backoff: Backoff(initial: .seconds(60), maximum: .seconds(60))),
        clock: simulation.clock)
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await channel.run() }
        let call = Task(executorPreference: simulation.executor) {
          let _: TestMessage = try await retrying.unary(Self.safe, TestMessage("x"), options: CallOptions())
        }
        try? await simulation.clock.sleep(for: .seconds(5))
        call.cancel()
        let error = await #expect(throws: RPCError.self) { try await call.value }
        #expect(error?.code == .cancelled && simulation.clock.elapsed < .seconds(10))
        group.cancelAll()
      }
    }
  }
}
