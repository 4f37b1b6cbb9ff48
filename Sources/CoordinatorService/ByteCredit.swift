import DequeModule
import RPC
import Synchronization

/// How many payload bytes a signer will take. Senders wait in line while there is none; one chunk may overdraw it, so that a
/// payload larger than the credit does not wait for ever.
final class ByteCredit: Sendable {
  private struct State {
    var available: Int64 = 0
    var waiters: Deque<(id: Int, bytes: Int64, continuation: CheckedContinuation<Bool, Never>)> = []
    var nextID = 0
  }

  /// The most credit that counts: a signer cannot make it overflow.
  static let maximum: Int64 = 1 << 40

  private let state = Mutex(State())

  /// The signer will take `bytes` more.
  func add(_ bytes: UInt64) {
    let ready = state.withLock { state in
      state.available = min(Self.maximum, state.available + Int64(min(bytes, UInt64(Self.maximum))))
      var ready: [CheckedContinuation<Bool, Never>] = []
      while state.available > 0, let waiter = state.waiters.popFirst() {
        state.available -= waiter.bytes
        ready.append(waiter.continuation)
      }
      return ready
    }
    for continuation in ready { continuation.resume(returning: true) }
  }

  /// Waits until there is credit and takes `bytes` of it. Throws `CANCELLED` when the task is cancelled first.
  func take(_ bytes: Int) async throws(RPCError) {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    let hasCredit = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let outcome = state.withLock { state -> Bool? in
          if Task.isCancelled { return false }
          if state.available > 0, state.waiters.isEmpty {
            state.available -= Int64(bytes)
            return true
          }
          state.waiters.append((id, Int64(bytes), continuation))
          return nil
        }
        if let outcome { continuation.resume(returning: outcome) }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
      }
      waiter?.continuation.resume(returning: false)
    }
    if !hasCredit { throw RPCError(.cancelled, "the signer is gone") }
  }
}
