internal import CPosix
import Glibc
import Synchronization

/// Runs short actions at given instants, on one thread for the whole process.
///
/// It serves code that must give up waiting at a deadline without a task of its own that sleeps. An action must not
/// block: it delays those of everybody else. The number of timers is bounded by those who wait.
package final class TimerThread: Sendable {
  /// Names a timer for ``cancel(_:)``.
  package struct Token: Hashable, Sendable {
    fileprivate let id: UInt64
  }

  private struct State {
    var actions: [UInt64: @Sendable () -> Void] = [:]
    var heap = TimerHeap()
    var lastID: UInt64 = 0
    /// What the thread sleeps until; nil while it sleeps without limit.
    var sleepsUntil: ContinuousClock.Instant?
  }

  /// The timers of the process. Its first use starts the thread and traps if the system has none to give.
  package static let shared = TimerThread()

  private let state = Mutex(State())
  private let wakeDescriptor: Int32

  private init() {
    wakeDescriptor = chancery_wake_open()
    precondition(wakeDescriptor >= 0, "cannot create the timer's wake-up descriptor: errno \(errno)")
    // The thread never ends and holds the only reference it needs: the static one.
    let error = chancery_thread_start(
      "timers", { Unmanaged<TimerThread>.fromOpaque($0!).takeRetainedValue().run() },
      Unmanaged.passRetained(self).toOpaque())
    precondition(error == 0, "cannot start the timer thread: errno \(error)")
  }

  /// Runs `action` at `deadline`, or soon after.
  package func schedule(at deadline: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> Token {
    let (id, mustWake) = state.withLock { state in
      state.lastID += 1
      state.actions[state.lastID] = action
      state.heap.insert(deadline, state.lastID)
      let isFirst = state.sleepsUntil.map { deadline < $0 } ?? true
      if isFirst { state.sleepsUntil = deadline }
      return (state.lastID, isFirst)
    }
    if mustWake { chancery_wake_signal(wakeDescriptor) }
    return Token(id: id)
  }

  /// Forgets the timer. Its action does not begin after this returns, but may be running.
  package func cancel(_ token: Token) {
    state.withLock { state in
      guard state.actions.removeValue(forKey: token.id) != nil else { return }
      // A cancelled timer stays in the heap until its time; rebuild when most entries are such.
      if state.heap.count > 64 + 2 * state.actions.count {
        let actions = state.actions
        state.heap.keep { actions[$0] != nil }
      }
    }
  }

  private func run() {
    while true {
      let (due, next) = state.withLock { state in
        var due: [@Sendable () -> Void] = []
        let now = ContinuousClock.now
        while let id = state.heap.popFirst(upTo: now) {
          if let action = state.actions.removeValue(forKey: id) { due.append(action) }
        }
        state.sleepsUntil = due.isEmpty ? state.heap.first : now
        return (due, state.heap.first)
      }
      if !due.isEmpty {
        for action in due { action() }
        continue
      }
      if chancery_wait(-1, 0, wakeDescriptor, next.map { $0.nanosecondsFromNow } ?? -1) & 2 != 0 {
        chancery_wake_clear(wakeDescriptor)
      }
    }
  }
}

/// A binary heap of instants.
private struct TimerHeap {
  private var entries: [(at: ContinuousClock.Instant, id: UInt64)] = []

  var count: Int { entries.count }
  var first: ContinuousClock.Instant? { entries.first?.at }

  mutating func insert(_ instant: ContinuousClock.Instant, _ id: UInt64) {
    entries.append((instant, id))
    var child = entries.count - 1
    while child > 0, entries[child].at < entries[(child - 1) / 2].at {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func popFirst(upTo now: ContinuousClock.Instant) -> UInt64? {
    guard let first = entries.first, first.at <= now else { return nil }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
        if entries[child].at < entries[least].at { least = child }
      }
      if least == parent { return first.id }
      entries.swapAt(least, parent)
      parent = least
    }
  }

  mutating func keep(_ isWanted: (UInt64) -> Bool) {
    let wanted = entries.filter { isWanted($0.id) }
    entries = []
    for entry in wanted { insert(entry.at, entry.id) }
  }
}
