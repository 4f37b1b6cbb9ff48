import Domain
import RPC
import Schema
import Synchronization
import TimeAndChance

/// A result that was sent, and whose answer will not come: its stream has ended.
struct UnansweredResult: Sendable {
  let batch: BatchAttempt
  let algorithm: SignatureAlgorithm
  let form: SignatureForm
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
    /// Opens with the next result.
    var arrival = Latch()
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// Keeps a result; returns whether there was room.
  func add(_ result: UnansweredResult) -> Bool {
    let arrival = state.withLock { state -> Latch? in
      guard state.results.count < limit else { return nil }
      state.results.append(result)
      defer { state.arrival = Latch() }
      return state.arrival
    }
    arrival?.open()
    return arrival != nil
  }

  /// The oldest result, once there is one; nil when the task is cancelled.
  func next() async -> UnansweredResult? {
    while !Task.isCancelled {
      let (result, arrival) = state.withLock { ($0.results.isEmpty ? nil : $0.results.removeFirst(), $0.arrival) }
      if let result { return result }
      await arrival.wait()
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
}
