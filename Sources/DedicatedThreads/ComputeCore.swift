internal import CPosix
import Synchronization

/// A piece of work in the queue of a compute pool. Either `run` or `refuse` is called, once.
struct ComputeItem: Sendable {
  let flag: CancellationFlag
  let run: @Sendable () -> Void
  let refuse: @Sendable (ComputeError) -> Void
}

/// The part of a compute pool that its threads keep alive.
final class ComputeCore: Sendable {
  private struct State {
    var queue = FIFOQueue<ComputeItem>()
    var threads = 0
    var running = 0
    var isShutDown = false
    var joiners: [CheckedContinuation<Void, Never>] = []
  }

  private let queueLimit: Int
  private let state = Mutex(State())
  private let available: Semaphore

  init(queueLimit: Int) {
    self.queueLimit = queueLimit
    available = Semaphore()
  }

  var load: (waiting: Int, running: Int) { state.withLock { ($0.queue.count, $0.running) } }

  func startThread(name: String) throws(DedicatedThreadError) {
    state.withLock { $0.threads += 1 }
    let context = Unmanaged.passRetained(self)
    let error = chancery_thread_start(
      name, { Unmanaged<ComputeCore>.fromOpaque($0!).takeRetainedValue().runThread() }, context.toOpaque())
    if error != 0 {
      context.release()
      state.withLock { $0.threads -= 1 }
      throw DedicatedThreadError("thread \(name)", errno: error)
    }
  }

  func submit(_ item: ComputeItem) {
    let refusal: ComputeError? = state.withLock { state in
      if state.isShutDown { return .shutDown }
      // A caller cancelled before this point found nothing to withdraw; one cancelled later finds the item.
      if item.flag.isCancelled { return .cancelled }
      // A thread that is free will take the item at once: only work beyond that waits.
      if state.queue.count >= queueLimit + (state.threads - state.running) { return .queueFull(limit: queueLimit) }
      state.queue.append(item)
      return nil
    }
    if let refusal { item.refuse(refusal) } else { available.signal() }
  }

  /// Refuses the item of a cancelled caller if it has not begun.
  func withdraw(_ flag: CancellationFlag) {
    state.withLock { $0.queue.removeFirst { $0.flag === flag } }?.refuse(.cancelled)
  }

  /// Takes no more work; returns the items that will not run, for the caller to refuse.
  func shutDown(finishingQueued: Bool) -> [ComputeItem] {
    let (refused, threads) = state.withLock { state in
      state.isShutDown = true
      return (finishingQueued ? [] : state.queue.removeAll(), state.threads)
    }
    // Each thread takes one signal beyond those of the items, finds nothing and ends.
    for _ in 0..<threads { available.signal() }
    return refused
  }

  func notifyWhenEnded(_ continuation: CheckedContinuation<Void, Never>) {
    let hasEnded = state.withLock { state in
      if state.threads > 0 { state.joiners.append(continuation) }
      return state.threads == 0
    }
    if hasEnded { continuation.resume() }
  }

  private func runThread() {
    while true {
      available.wait()
      enum Next { case run(ComputeItem), wait, end([CheckedContinuation<Void, Never>]) }
      let next: Next = state.withLock { state in
        if let item = state.queue.popFirst() {
          state.running += 1
          return .run(item)
        }
        // A signal without an item: it was withdrawn, or the pool shuts down.
        if !state.isShutDown { return .wait }
        state.threads -= 1
        if state.threads > 0 { return .end([]) }
        defer { state.joiners = [] }
        return .end(state.joiners)
      }
      switch next {
      case .wait: continue
      case .run(let item):
        item.run()
        state.withLock { $0.running -= 1 }
      case .end(let joiners):
        for joiner in joiners { joiner.resume() }
        return
      }
    }
  }
}

extension ComputePool {
  /// The number of cores that this process may run on.
  public static var availableCores: Int { Int(chancery_available_cores()) }
}
