import Synchronization

/// Opens once, for good, and lets all go on who wait for it: a stop that many tasks must see, the end of something.
public final class Latch: Sendable {
  private struct State {
    var isOpen = false
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var lastTicket: UInt64 = 0
  }

  private let state = Mutex(State())

  /// A latch that is closed.
  public init() {}

  /// Whether it has been opened.
  public var isOpen: Bool { state.withLock { $0.isOpen } }

  /// Opens the latch; those who wait go on in the order in which they came. May be called more than once.
  public func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return state.waiters
    }
    for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) { waiter.resume() }
  }

  /// Waits until the latch is open. Returns early when the task is cancelled.
  public func wait() async {
    let ticket = Atomic<UInt64>(0)
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          // The handler below runs after the task was marked and takes this lock: it cannot come between.
          if state.isOpen || Task.isCancelled { return true }
          state.lastTicket += 1
          ticket.store(state.lastTicket, ordering: .relaxed)
          state.waiters[state.lastTicket] = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: ticket.load(ordering: .relaxed)) }
      waiter?.resume()
    }
  }

  /// Runs `operation` in a child task, which is cancelled when the latch opens; returns or throws what it does. What
  /// an operation does when it is cancelled is its own affair: `isOpen` tells it why.
  public func cancelling<Value: Sendable>(
    _ operation: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask { try await operation() }
      group.addTask {
        await self.wait()
        return nil
      }
      defer { group.cancelAll() }
      while true {
        // The operation is in the group until its value is returned here, so there is a next one.
        if let value = try await group.next()! { return value }
        group.cancelAll()
      }
    }
  }
}
