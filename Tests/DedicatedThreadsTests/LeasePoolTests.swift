import Synchronization
import Testing

@testable import DedicatedThreads

private struct Failure: LeaseFailure, Equatable {
  var kind: String
  var isWorthReconnecting = false
  var isCallersChoice = false

  static func poolExhausted(_ reason: String) -> Failure { Failure(kind: "exhausted") }
  static func poolClosed() -> Failure { Failure(kind: "closed") }
  static func leaseCancelled() -> Failure { Failure(kind: "cancelled") }
  static func leaseDeadlineExceeded(lastFailure: Failure?) -> Failure {
    Failure(kind: "deadline after \(lastFailure?.kind ?? "nothing")")
  }
}

private final class Connection: LeasedConnection {
  private let broken = Atomic(false)
  private let closed = Atomic(false)

  var isReusable: Bool { !broken.load(ordering: .relaxed) }
  var isClosed: Bool { closed.load(ordering: .relaxed) }
  func spoil() { broken.store(true, ordering: .relaxed) }
  func close() async { closed.store(true, ordering: .relaxed) }
}

/// Proves the shell around the pure state: that waiting tasks are resumed once and with the right answer whatever comes first
/// (grant, timeout, cancellation, closing), and that broken connections are replaced. The connections are pretended, for only
/// their lending is tested here; the drivers' tests use real ones.
@Suite(.timeLimit(.minutes(1)))
struct LeasePoolTests {
  private func makePool(
    connections: Int = 1, waiters: Int = 100, timeout: Duration = .seconds(30),
    open: @escaping @Sendable () throws(Failure) -> Connection = { Connection() }
  ) -> LeasePool<Connection, Failure> {
    LeasePool(
      limits: PoolLimits(
        connections: connections, waiters: waiters, leaseTimeout: timeout,
        backoff: Backoff(initial: .milliseconds(1), maximum: .milliseconds(4))),
      jitter: { 0 }, open: { _ throws(Failure) in try open() })
  }

  @Test func `a waiter gets the connection that comes back`() async throws {
    let pool = makePool()
    let connection = try await pool.lease(deadline: nil)
    let waiter = Task { try await pool.lease(deadline: nil) }
    while pool.statistics.waiting < 1 { await Task.yield() }
    await pool.giveBack(connection)
    #expect(try await waiter.value === connection)
    #expect(pool.statistics.totalWaits == 1)
  }

  @Test func `waiting ends at the caller's deadline, at the pool's timeout, and by cancellation`() async throws {
    let pool = makePool(timeout: .milliseconds(20))
    let connection = try await pool.lease(deadline: nil)
    await #expect(throws: Failure(kind: "exhausted")) { try await pool.lease(deadline: nil) }
    await #expect(throws: Failure(kind: "deadline after nothing")) {
      try await pool.lease(deadline: .now + .milliseconds(5))
    }
    let patient = makePool()
    let lent = try await patient.lease(deadline: nil)
    let waiter = Task { try await patient.lease(deadline: nil) }
    while patient.statistics.waiting < 1 { await Task.yield() }
    waiter.cancel()
    await #expect(throws: Failure(kind: "cancelled")) { try await waiter.value }
    #expect(patient.statistics.waiting == 0)
    await patient.giveBack(lent)
    await pool.giveBack(connection)
    #expect(try await pool.lease(deadline: nil) === connection)
  }

  @Test func `callers beyond the limit of waiters are refused at once`() async throws {
    let pool = makePool(waiters: 1)
    let connection = try await pool.lease(deadline: nil)
    let waiter = Task { try await pool.lease(deadline: nil) }
    while pool.statistics.waiting < 1 { await Task.yield() }
    await #expect(throws: Failure(kind: "exhausted")) { try await pool.lease(deadline: nil) }
    await pool.giveBack(connection)
    _ = try await waiter.value
  }

  @Test func `a broken connection is closed and replaced, whether found on return or on lease`() async throws {
    let pool = makePool()
    let first = try await pool.lease(deadline: nil)
    first.spoil()
    await pool.giveBack(first)
    #expect(first.isClosed)
    let second = try await pool.lease(deadline: nil)
    #expect(second !== first)
    await pool.giveBack(second)
    second.spoil()
    #expect(try await pool.lease(deadline: nil) !== second)
    #expect(second.isClosed)
  }

  @Test func `a server that comes back is found while callers wait`() async throws {
    let attempts = Mutex(0)
    let pool = makePool(connections: 4) { () throws(Failure) in
      let attempt = attempts.withLock {
        $0 += 1
        return $0
      }
      if attempt <= 5 { throw Failure(kind: "down", isWorthReconnecting: true) }
      return Connection()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          let connection = try await pool.lease(deadline: nil)
          await pool.giveBack(connection)
        }
      }
      try await group.waitForAll()
    }
    #expect(pool.statistics.failedAttempts == 0)
    #expect(attempts.withLock { $0 } <= 9)
  }

  @Test func `a failure that will not pass is thrown at once, a passing one at the deadline`() async throws {
    let misconfigured = makePool { () throws(Failure) in throw Failure(kind: "password") }
    await #expect(throws: Failure(kind: "password")) { try await misconfigured.lease(deadline: nil) }
    let down = makePool { () throws(Failure) in throw Failure(kind: "down", isWorthReconnecting: true) }
    await #expect(throws: Failure(kind: "deadline after down")) {
      try await down.lease(deadline: .now + .milliseconds(20))
    }
  }

  @Test func `closing refuses those who wait and returns when the last connection is back`() async throws {
    let pool = makePool()
    let connection = try await pool.lease(deadline: nil)
    let waiter = Task { try await pool.lease(deadline: nil) }
    while pool.statistics.waiting < 1 { await Task.yield() }
    let closing = Task { await pool.close() }
    await #expect(throws: Failure(kind: "closed")) { try await waiter.value }
    #expect(!connection.isClosed)
    await pool.giveBack(connection)
    await closing.value
    #expect(connection.isClosed)
    await #expect(throws: Failure(kind: "closed")) { try await pool.lease(deadline: nil) }
    await pool.close()
  }

  @Test func `many callers with deadlines, cancellations and broken connections lose no connection`() async throws {
    let pool = makePool(connections: 3, waiters: 1000)
    await withTaskGroup { group in
      for number in 0..<600 {
        let task = Task {
          guard let connection = try? await pool.lease(deadline: .now + .milliseconds(number % 7)) else { return }
          await Task.yield()
          if number % 5 == 0 { connection.spoil() }
          await pool.giveBack(connection)
        }
        if number % 3 == 0 { group.addTask { task.cancel() } }
        group.addTask { await task.value }
      }
    }
    // All three can be lent again: nothing is counted as lent that is not.
    for _ in 0..<3 { _ = try await pool.lease(deadline: .now + .seconds(10)) }
    #expect(pool.statistics.waiting == 0 && pool.statistics.open == 3)
  }
}
