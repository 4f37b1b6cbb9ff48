import RPCTestSupport
import Testing

@testable import RPC

/// Messages arrive once and in order, the end after them, a failure at once; the queue asks for a stall when it weighs too
/// much, and tells when it has drained; a reader that waits is woken by whatever happens first.
@Suite struct MessageQueueTests {
  private final class Owner: QueueOwner {
    let drained = Watched<[StreamID]>([])
    let granted = Watched<[Int]>([])
    func caughtUp(_ id: StreamID) { drained.update { $0.append(id) } }
    func grant(_ credit: Int, to id: StreamID) { granted.update { $0.append(credit) } }
  }

  private let owner = Owner()
  private let queue: MessageQueue

  init() { queue = MessageQueue(id: StreamID(7), owner: owner) }

  @discardableResult
  private func push(_ message: [UInt8]) -> Bool {
    var deferred = Deferred()
    defer { deferred.perform() }
    return queue.push(message[...], counted: false, &deferred) == .mustStall
  }

  private func finish(_ end: Result<Void, RPCError>) {
    var deferred = Deferred()
    queue.finish(end, &deferred)
    deferred.perform()
  }

  private func fail(_ error: RPCError) {
    var deferred = Deferred()
    queue.fail(error, &deferred)
    deferred.perform()
  }

  private static let lost = RPCError(.unavailable, "lost")

  @Test func messagesThenTheEnd() async throws {
    for byte in 0..<10 as Range<UInt8> { push([byte]) }
    finish(.success(()))
    #expect(push([99]) == false, "nothing follows the end")
    for byte in 0..<10 as Range<UInt8> { #expect(try await queue.next() == [byte]) }
    for _ in 0..<2 { #expect(try await queue.next() == nil) }
    #expect(queue.failure == nil)
  }

  @Test func messagesThenAnError() async throws {
    push([1])
    finish(.failure(Self.lost))
    finish(.success(()))
    #expect(try await queue.next() == [1])
    for _ in 0..<2 { await #expect(throws: Self.lost) { try await queue.next() } }
    #expect(queue.failure == Self.lost)
  }

  @Test func aFailureDropsWhatIsQueued() async {
    push([1])
    finish(.success(()))
    fail(Self.lost)
    await #expect(throws: Self.lost) { try await queue.next() }
  }

  enum Event: CaseIterable { case push, finish, finishWithError, fail }

  /// Whatever happens wakes the reader that waits.
  @Test(arguments: Event.allCases) func aWaitingReaderIsWoken(event: Event) throws {
    let simulation = Simulation()
    let outcome = try simulation.run {
      let reader = Task(executorPreference: simulation.executor) {
        do throws(RPCError) { return Result<[UInt8]?, RPCError>.success(try await queue.next().map(Array.init)) } catch
        {
          return .failure(error)
        }
      }
      await Task.yield()
      switch event {
      case .push: push([5])
      case .finish: finish(.success(()))
      case .finishWithError: finish(.failure(Self.lost))
      case .fail: fail(Self.lost)
      }
      return await reader.value
    }
    switch event {
    case .push: #expect(outcome == .success([5]))
    case .finish: #expect(outcome == .success(nil))
    case .finishWithError, .fail: #expect(outcome == .failure(Self.lost))
    }
  }

  @Test func cancellationEndsTheWaitAlone() async throws {
    let simulation = Simulation()
    try simulation.run { [queue] in
      let reader = Task(executorPreference: simulation.executor) {
        try await queue.next()
      }
      await Task.yield()
      reader.cancel()
      let error = await #expect(throws: RPCError.self) { try await reader.value }
      #expect(error?.code == .cancelled)
    }
    // The stream goes on for another reader, and a cancelled one still gets what is there.
    push([1])
    let value = try await Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await queue.next()
    }.value
    #expect(value == [1])
    await #expect(throws: RPCError.self) {
      try await Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return try await queue.next()
      }.value
    }
  }

  @Test func weightAsksForAStallAndDrainingEndsIt() async throws {
    let message = [UInt8](repeating: 0, count: 64 * 1024)
    var pushed = 0
    while !push(message) { pushed += 1 }
    pushed += 1
    #expect(pushed == MessageQueue.highWater / (message.count + MessageQueue.messageOverhead) + 1)
    #expect(push(message) == false, "one stall at a time")
    pushed += 1
    var left = pushed * (message.count + MessageQueue.messageOverhead)
    while left > MessageQueue.lowWater {
      #expect(owner.drained.value.isEmpty)
      _ = try await queue.next()
      left -= message.count + MessageQueue.messageOverhead
    }
    #expect(owner.drained.value == [StreamID(7)])
    while left > 0 {
      _ = try await queue.next()
      left -= message.count + MessageQueue.messageOverhead
    }
    #expect(owner.drained.value == [StreamID(7)])
  }

  /// Empty messages weigh something: a peer cannot fill memory with them.
  @Test func emptyMessagesAreBounded() {
    var pushed = 0
    while !push([]) { pushed += 1 }
    #expect(pushed == MessageQueue.highWater / MessageQueue.messageOverhead)
  }

  @Test func twoReadersAreOurMistake() async {
    await #expect(processExitsWith: .failure) {
      final class Nobody: QueueOwner {
        func caughtUp(_ id: StreamID) {}
        func grant(_ credit: Int, to id: StreamID) {}
      }
      let queue = MessageQueue(id: StreamID(1), owner: Nobody())
      async let first = queue.next()
      async let second = queue.next()
      _ = try await [first, second]
    }
  }
}
