import Synchronization

/// An event that happens once: tasks wait until it has.
public final class Latch: Sendable {
  private struct State {
    var isOpen = false
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var lastTicket: UInt64 = 0
  }

  private let state = Mutex(State())

  /// A latch that is not open.
  public init() {}

  /// Whether it was opened.
  public var isOpen: Bool { state.withLock { $0.isOpen } }

  /// Lets every waiter go on, now and later. May be called more than once.
  public func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return state.waiters
    }
    for (_, waiter) in waiters.sorted(by: { $0.key < $1.key }) { waiter.resume() }
  }

  /// Waits until the latch is open; returns early, without an error, when the task is cancelled.
  public func wait() async {
    let ticket = Atomic<UInt64>(0)
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          // The handler below runs after the task was marked and takes this lock: it cannot come between.
          if state.isOpen || Task.isCancelled { return true }
          state.lastTicket += 1
          ticket.store(state.lastTicket, ordering: .relaxed)
          state.waiters[state.lastTicket] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: ticket.load(ordering: .relaxed)) }
      waiter?.resume()
    }
  }
}
