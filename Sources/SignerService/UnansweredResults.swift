import Domain
import RPC
import Schema
import Synchronization
import TimeAndChance

/// A result that was sent, and whose answer will not come: its stream has ended.
struct UnansweredResult: Sendable {
  let batch: BatchAttempt
  let algorithm: SignatureAlgorithm
  let lease: LeaseIdentity
  let signatures: [ChanceryV1.SignatureChunk]
  let result: ChanceryV1.BatchResult
  /// Until when it is worth sending again.
  let deadline: ContinuousClock.Instant
}

/// Keeps results whose answer did not come until a stream takes them, to whichever coordinator: the one that had given the
/// batch out may be dead, and any other can store it.
///
/// Holds no more than the signer may have batches at a time. Nobody relies on it: a batch whose result is dropped here is given
/// out again.
final class UnansweredResults: Sendable {
  private struct State {
    var results: [UnansweredResult] = []
    var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    var nextID = 0
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// Keeps a result; returns whether there was room.
  func add(_ result: UnansweredResult) -> Bool {
    let (isKept, waiters) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
      guard state.results.count < limit else { return (false, []) }
      state.results.append(result)
      defer { state.waiters = [:] }
      return (true, state.waiters.sorted { $0.key < $1.key }.map(\.value))
    }
    for waiter in waiters { waiter.resume() }
    return isKept
  }

  /// The oldest result, once there is one; nil when the task is cancelled.
  func next() async -> UnansweredResult? {
    while !Task.isCancelled {
      if let result = state.withLock({ $0.results.isEmpty ? nil : $0.results.removeFirst() }) { return result }
      await wait()
    }
    return nil
  }

  /// Takes out those that are not worth sending any more; all of them if no time is given.
  func remove(overdueAt now: ContinuousClock.Instant? = nil) -> [UnansweredResult] {
    state.withLock { state in
      func isOverdue(_ result: UnansweredResult) -> Bool { now.map { result.deadline <= $0 } ?? true }
      defer { state.results.removeAll(where: isOverdue) }
      return state.results.filter(isOverdue)
    }
  }

  /// Waits for a result, or until the task is cancelled.
  private func wait() async {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          if !state.results.isEmpty || Task.isCancelled { return true }
          state.waiters[id] = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
      waiter?.resume()
    }
  }
}
