import Synchronization

/// A connection that a ``LeasePool`` can lend.
package protocol LeasedConnection: AnyObject, Sendable {
  /// Whether the connection is open and at rest, as far as can be told at once and without waiting.
  var isReusable: Bool { get }

  /// Closes the connection. Not cancellable.
  func close() async
}

/// The waiting half of a ``LeasePool``: shares the pure state among threads, suspends those who wait and resumes each once.
///
/// It knows connections as existentials and no generic type, since it is passed through for every statement and code that is
/// generic across modules is slow.
final class LeaseQueue: Sendable {
  typealias State = LeasePoolState<any LeasedConnection>

  /// What a waiter is resumed with.
  enum Answer: Sendable {
    case granted(State.Grant), timedOut, cancelled, closed
  }

  private struct Guarded {
    var state: State
    var waiting: [UInt64: CheckedContinuation<Answer, Never>] = [:]
    /// Answers to waiters whose continuation is not known yet.
    var answers: [UInt64: Answer] = [:]
    var wakeAt: ContinuousClock.Instant?
    var drained: [CheckedContinuation<Void, Never>] = []

    /// The continuation of a waiter that is answered, or nil if it is not known yet: then the answer is kept for it.
    mutating func answer(_ waiter: UInt64, _ answer: Answer) -> CheckedContinuation<Answer, Never>? {
      if let continuation = waiting.removeValue(forKey: waiter) { return continuation }
      answers[waiter] = answer
      return nil
    }
  }

  private let guarded: Mutex<Guarded>

  init(limits: PoolLimits) {
    guarded = Mutex(
      Guarded(
        state: State(
          maximumConnections: limits.connections, maximumWaiters: limits.waiters, idleLimit: limits.idleTimeout)))
    _ = TimerThread.shared
  }

  var statistics: PoolStatistics {
    guarded.withLock {
      PoolStatistics(
        open: $0.state.idleCount + $0.state.leased, idle: $0.state.idleCount, waiting: $0.state.waitingCount,
        totalWaits: $0.state.totalWaits, failedAttempts: $0.state.failures)
    }
  }

  /// A caller wants a connection; one who was granted something useless keeps his place with `isFirst`.
  func lease(isFirst: Bool) -> State.Decision {
    guarded.withLock { $0.state.lease(now: .now, isFirst: isFirst) }
  }

  /// Suspends a caller who was told to wait until he is granted something, the time is up, or his task is cancelled.
  func wait(as waiter: UInt64, until limit: ContinuousClock.Instant) async -> Answer {
    let timer = TimerThread.shared.schedule(at: limit) { [weak self] in self?.withdraw(waiter, .timedOut) }
    defer { TimerThread.shared.cancel(timer) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // Granted, refused or withdrawn in the meantime: the answer lies ready.
        let answer = guarded.withLock { guarded in
          let answer = guarded.answers.removeValue(forKey: waiter)
          if answer == nil { guarded.waiting[waiter] = continuation }
          return answer
        }
        if let answer { continuation.resume(returning: answer) } else { handOut() }
      }
    } onCancel: {
      withdraw(waiter, .cancelled)
    }
  }

  /// A lent connection comes back fit for use. Returns those to close.
  func returned(_ connection: any LeasedConnection) -> [any LeasedConnection] {
    change { $0.returned(connection, now: .now) }
  }

  /// A lent connection is of no use any more.
  func discarded() {
    change { $0.discarded() }
  }

  /// A connection was opened and is lent to him who opened it.
  func opened() {
    change { $0.opened() }
  }

  /// An attempt failed; the next may begin after what `delay` makes of the number of failures.
  func openFailed(retryAfter delay: (Int) -> Duration) {
    change { $0.openFailed(retryAt: .now + delay($0.failures + 1)) }
  }

  /// An attempt was broken off by its caller.
  func openAbandoned() {
    change { $0.openAbandoned() }
  }

  /// Refuses those who wait and all that come. Returns the idle connections, to be closed.
  func close() -> [any LeasedConnection] {
    let (idle, refused) = guarded.withLock { guarded in
      let (idle, waiters) = guarded.state.close()
      return (idle, waiters.compactMap { guarded.answer($0, .closed) })
    }
    for continuation in refused { continuation.resume(returning: .closed) }
    return idle
  }

  /// Waits until nothing is lent or being opened. Not cancellable.
  func drain() async {
    await withCheckedContinuation { continuation in
      let isQuiet = guarded.withLock { guarded in
        if !guarded.state.isQuiet { guarded.drained.append(continuation) }
        return guarded.state.isQuiet
      }
      if isQuiet { continuation.resume() }
    }
  }

  private func withdraw(_ waiter: UInt64, _ answer: Answer) {
    let continuation = guarded.withLock { guarded in
      guarded.state.withdraw(waiter) ? guarded.answer(waiter, answer) : nil
    }
    continuation?.resume(returning: answer)
    // The others may have waited behind a backoff timer that this waiter had armed.
    handOut()
  }

  private func change<R: Sendable>(_ body: (inout State) -> R) -> R {
    let (result, isWanted) = guarded.withLock { guarded in
      (body(&guarded.state), guarded.state.waitingCount > 0 || guarded.state.isClosed)
    }
    if isWanted { handOut() }
    return result
  }

  /// Grants what has become free, arms the timer of the backoff, and tells who waits for the pool to be quiet.
  private func handOut() {
    var granted: [(CheckedContinuation<Answer, Never>, State.Grant)] = []
    var drained: [CheckedContinuation<Void, Never>] = []
    var wakeAt: ContinuousClock.Instant?
    guarded.withLock { guarded in
      for (waiter, grant) in guarded.state.grants(now: .now) {
        if let continuation = guarded.answer(waiter, .granted(grant)) { granted.append((continuation, grant)) }
      }
      if let next = guarded.state.nextWake, guarded.wakeAt.map({ next < $0 }) ?? true {
        guarded.wakeAt = next
        wakeAt = next
      }
      if guarded.state.isClosed && guarded.state.isQuiet { swap(&drained, &guarded.drained) }
    }
    for (continuation, grant) in granted { continuation.resume(returning: .granted(grant)) }
    for continuation in drained { continuation.resume() }
    if let wakeAt {
      _ = TimerThread.shared.schedule(at: wakeAt) { [weak self] in
        guard let self else { return }
        guarded.withLock { $0.wakeAt = nil }
        handOut()
      }
    }
  }
}
