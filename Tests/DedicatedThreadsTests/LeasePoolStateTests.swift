import Testing

@testable import DedicatedThreads

/// Proves the decisions of the pool on the pure state, with instants made up: who is granted what, in which order, what a
/// failing server does to attempts, and what is closed when.
@Suite
struct LeasePoolStateTests {
  private let start = ContinuousClock.now

  private func makeState(connections: Int = 2, waiters: Int = 2) -> LeasePoolState<String> {
    LeasePoolState(maximumConnections: connections, maximumWaiters: waiters, idleLimit: .seconds(60))
  }

  private func describe(_ decision: LeasePoolState<String>.Decision) -> String {
    switch decision {
    case .granted(.open): "open"
    case .granted(.connection(let connection)): connection
    case .wait(let waiter): "wait \(waiter)"
    case .exhausted: "exhausted"
    case .closed: "closed"
    }
  }

  @Test func `opens up to the limit, then queues, then refuses`() {
    var state = makeState()
    let answers = (0..<5).map { _ in describe(state.lease(now: start)) }
    #expect(answers == ["open", "open", "wait 1", "wait 2", "exhausted"])
    #expect(state.totalWaits == 2)
  }

  @Test func `a returned connection goes to the first waiter, and nobody overtakes`() {
    var state = makeState(connections: 1)
    _ = state.lease(now: start)
    state.opened()
    _ = state.lease(now: start)
    _ = state.lease(now: start)
    #expect(state.returned("a", now: start).isEmpty)
    // The connection is idle until it is granted; a caller who comes now has to queue.
    #expect(describe(state.lease(now: start)) == "exhausted")
    let grants = state.grants(now: start)
    #expect(grants.map(\.waiter) == [1])
    #expect(state.idleCount == 0 && state.waitingCount == 1 && state.leased == 1)
  }

  @Test func `the most recently used is lent first, and the long idle are closed`() {
    var state = makeState(connections: 3)
    for _ in 0..<3 {
      _ = state.lease(now: start)
      state.opened()
    }
    #expect(state.returned("a", now: start).isEmpty)
    #expect(state.returned("b", now: start + .seconds(30)).isEmpty)
    #expect(state.returned("c", now: start + .seconds(61)) == ["a"])
    #expect(describe(state.lease(now: start + .seconds(61))) == "c")
    #expect(describe(state.lease(now: start + .seconds(61))) == "b")
    #expect(describe(state.lease(now: start + .seconds(61))) == "open")
  }

  @Test func `while the server fails one attempt at a time is made, each after its backoff`() {
    var state = makeState(connections: 4, waiters: 8)
    #expect(describe(state.lease(now: start)) == "open")
    state.openFailed(retryAt: start + .seconds(1))
    // He who failed keeps his place before those who come later.
    #expect(describe(state.lease(now: start)) == "wait 1")
    #expect(describe(state.lease(now: start, isFirst: true)) == "wait 2")
    #expect(state.nextWake == start + .seconds(1))
    #expect(state.grants(now: start + .milliseconds(999)).isEmpty)
    #expect(state.grants(now: start + .seconds(1)).map(\.waiter) == [2])
    #expect(state.grants(now: start + .seconds(1)).isEmpty)
    #expect(state.nextWake == nil)
    state.opened()
    // The server is back: all others may try at once.
    #expect(state.grants(now: start + .seconds(1)).map(\.waiter) == [1])
    #expect(state.failures == 0)
  }

  @Test func `an attempt that its caller broke off lets the next one try`() {
    var state = makeState(connections: 1)
    _ = state.lease(now: start)
    #expect(describe(state.lease(now: start)) == "wait 1")
    state.openAbandoned()
    #expect(state.grants(now: start).map(\.waiter) == [1])
    #expect(state.failures == 0)
  }

  @Test func `a waiter that gives up is granted nothing; one already granted cannot give up`() {
    var state = makeState(connections: 1)
    _ = state.lease(now: start)
    state.opened()
    _ = state.lease(now: start)
    _ = state.lease(now: start)
    let answers = [state.withdraw(1), state.withdraw(1)]
    #expect(answers == [true, false])
    _ = state.returned("a", now: start)
    #expect(state.grants(now: start).map(\.waiter) == [2])
    let isWithdrawn = state.withdraw(2)
    #expect(!isWithdrawn)
  }

  @Test func `a closed pool refuses, closes what comes back and is quiet at the end`() {
    var state = makeState()
    _ = state.lease(now: start)
    state.opened()
    _ = state.lease(now: start)
    state.opened()
    _ = state.lease(now: start)
    _ = state.returned("a", now: start)
    let closed = state.close()
    #expect(closed.connections == ["a"] && closed.waiters == [1])
    #expect(describe(state.lease(now: start)) == "closed")
    #expect(!state.isQuiet)
    #expect(state.returned("b", now: start) == ["b"])
    #expect(state.isQuiet)
  }

  @Test(arguments: [
    (1, 0.0, 50.0), (1, 0.5, 37.5), (2, 0.0, 100.0), (6, 0.0, 1600.0), (7, 0.0, 2000.0), (900, 0.0, 2000.0),
  ])
  func `the backoff doubles up to its maximum and jitter takes up to half off`(
    _ failures: Int, _ random: Double, _ milliseconds: Double
  ) {
    #expect(Backoff().delay(afterFailures: failures, random: random) == .milliseconds(milliseconds))
  }

  @Test func `the queue keeps order through prepending and removal`() {
    var queue = FIFOQueue<Int>()
    for number in 0..<10 { queue.append(number) }
    #expect(queue.popFirst() == 0)
    #expect(queue.popFirst() == 1)
    queue.prepend(1)
    queue.prepend(0)
    queue.prepend(-1)
    #expect(queue.removeFirst { $0 == 5 } == 5)
    #expect(queue.removeFirst { $0 == 5 } == nil)
    #expect(queue.count == 10)
    #expect(queue.removeAll() == [-1, 0, 1, 2, 3, 4, 6, 7, 8, 9])
    #expect(queue.popFirst() == nil)
  }
}
