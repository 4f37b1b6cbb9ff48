import DequeModule
import Domain
import Failpoints
import Storage
import Synchronization
import Telemetry
import TimeAndChance

/// Stores the results of signers, several at a time: while one call of the store is under way, the results that come in
/// gather for the next.
///
/// A result is kept until the store has said what became of it. A call that failed, or whose outcome is unknown, is made
/// again with the same results: committing twice has the effect of once. The queue is bounded by the credit of the signers.
final class CommitQueue: Sendable {
  private struct Entry {
    let batch: SignedBatch
    let continuation: CheckedContinuation<CommitOutcome?, Never>
  }

  private struct State {
    var entries: Deque<Entry> = []
    var idle: [CheckedContinuation<Void, Never>] = []
    /// How many calls of the store are under way.
    var calls = 0
    var isClosed = false

    /// Whether what waits is worth another call. One call at a time inserts in the order of ids, which the index likes best;
    /// more are for stores that are slow to answer.
    var isWorthACall: Bool { calls == 0 ? !entries.isEmpty : entries.count >= CommitQueue.crowd }
  }

  /// How many results that wait are worth a call beside the one under way.
  private static let crowd = 4

  private let store: any JobStore
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let observer: any Observer
  private let options: CoordinatorOptions
  private let state = Mutex(State())

  init(
    store: any JobStore, clock: any ServiceClock, random: any RandomSource, observer: any Observer,
    options: CoordinatorOptions
  ) {
    self.store = store
    self.clock = clock
    self.random = random
    self.observer = observer
    self.options = options
  }

  /// Stores a result; nil when the coordinator stopped before the store said what became of it.
  func commit(_ batch: SignedBatch) async -> CommitOutcome? {
    await withCheckedContinuation { continuation in
      let (isClosed, waiting) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
        if state.isClosed { return (true, nil) }
        state.entries.append(Entry(batch: batch, continuation: continuation))
        return (false, state.isWorthACall ? state.idle.popLast() : nil)
      }
      if isClosed { continuation.resume(returning: nil) }
      waiting?.resume()
    }
  }

  /// Works until the task is cancelled; then the results that are not stored get no outcome.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<options.commitConcurrency { group.addTask { await self.work() } }
    }
    let rest = state.withLock { state in
      state.isClosed = true
      defer { state.entries.removeAll() }
      return state.entries
    }
    for entry in rest { entry.continuation.resume(returning: nil) }
  }

  private func work() async {
    while !Task.isCancelled {
      let group = takeGroup()
      if group.isEmpty {
        await waitForEntries()
      } else {
        await store(group)
        state.withLock { $0.calls -= 1 }
      }
    }
  }

  private func store(_ group: [Entry]) async {
    var attempt = 0
    while !Task.isCancelled {
      do throws(StorageError) {
        Failpoint.coordinatorReceived.pass()
        let outcomes = try await observer.timing("chancery_store_seconds", ["operation": "commit"], clock) {
          () async throws(StorageError) in try await store.commit(group.map(\.batch))
        }
        Failpoint.coordinatorStored.pass()
        observer.count("chancery_commits_total", by: Double(group.count))
        for (entry, outcome) in zip(group, outcomes) { entry.continuation.resume(returning: outcome) }
        return
      } catch {
        observer.event(.warning, "commit.retried", "storing results failed, trying again: \(error)", [:])
        try? await clock.sleep(for: options.storeBackoff.delay(attempt: attempt, random: random))
        attempt += 1
      }
    }
    for entry in group { entry.continuation.resume(returning: nil) }
  }

  private func takeGroup() -> [Entry] {
    state.withLock { state in
      guard state.isWorthACall else { return [] }
      let group = Array(state.entries.prefix(options.commitGroup))
      state.entries.removeFirst(group.count)
      state.calls += 1
      return group
    }
  }

  private func waitForEntries() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          if Task.isCancelled || state.isWorthACall { return true }
          state.idle.append(continuation)
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      let idle = state.withLock { state in
        defer { state.idle.removeAll() }
        return state.idle
      }
      for continuation in idle { continuation.resume() }
    }
  }
}
