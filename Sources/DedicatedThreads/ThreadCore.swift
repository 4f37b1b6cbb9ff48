internal import CPosix
import Glibc
import Synchronization

/// The part of a dedicated thread that the thread itself keeps alive: its queue and the descriptor that wakes it.
final class ThreadCore: Sendable {
  /// A job and the executor it was given to.
  struct Entry {
    let job: UnownedJob
    let executor: DedicatedThread
  }

  private struct State {
    var queue: [Entry] = []
    var isRunning = false
    var isParked = false
    var isStopping = false
    var joiners: [CheckedContinuation<Void, Never>] = []
  }

  let name: String
  private let wakeDescriptor: Int32
  /// Where the thread parks while it has no job: cheaper than the descriptor, which only interrupts a job that waits.
  private let parking = Semaphore()
  private let state = Mutex(State())
  /// The `pthread_t` of the running thread, 0 when there is none.
  private let identity = Atomic<UInt>(0)

  init(name: String) throws(DedicatedThreadError) {
    self.name = name
    wakeDescriptor = chancery_wake_open()
    guard wakeDescriptor >= 0 else {
      throw DedicatedThreadError("the wake-up descriptor of thread \(name)", errno: errno)
    }
  }

  deinit {
    close(wakeDescriptor)
  }

  var isCurrent: Bool { identity.load(ordering: .relaxed) == UInt(pthread_self()) }

  func start() throws(DedicatedThreadError) {
    state.withLock { $0.isRunning = true }
    let error = launch()
    if error != 0 {
      state.withLock { $0.isRunning = false }
      throw DedicatedThreadError("thread \(name)", errno: error)
    }
  }

  /// Queues the job and makes sure that a thread will run it.
  func enqueue(_ entry: Entry) {
    let (mustStart, mustWake) = state.withLock { state in
      state.queue.append(entry)
      let start = !state.isRunning
      let wake = state.isParked
      state.isRunning = true
      state.isParked = false
      return (start, wake)
    }
    if mustWake {
      parking.signal()
    } else if mustStart {
      // The thread had ended after stop(). The job cannot be refused, so there is no way on without a thread.
      let error = launch()
      precondition(error == 0, "cannot start thread \(name) again: errno \(error)")
    }
  }

  func stop() {
    let mustWake = state.withLock { state in
      state.isStopping = true
      defer { state.isParked = false }
      return state.isParked
    }
    if mustWake { parking.signal() }
  }

  func wake() {
    chancery_wake_signal(wakeDescriptor)
  }

  func notifyWhenEnded(_ continuation: CheckedContinuation<Void, Never>) {
    let hasEnded = state.withLock { state in
      if state.isRunning { state.joiners.append(continuation) }
      return !state.isRunning
    }
    if hasEnded { continuation.resume() }
  }

  func wait(
    for descriptor: Int32?, _ events: DedicatedThread.Events, until deadline: ContinuousClock.Instant?
  ) -> DedicatedThread.WaitOutcome {
    while true {
      let timeout = deadline.map { $0.nanosecondsFromNow } ?? -1
      let mask = chancery_wait(descriptor ?? -1, events.rawValue, wakeDescriptor, timeout)
      precondition(mask >= 0, "poll of descriptor \(descriptor ?? -1) failed: errno \(errno)")
      if mask & 2 != 0 {
        chancery_wake_clear(wakeDescriptor)
        return .woken
      }
      if mask & 1 != 0 { return .ready }
      if let deadline, deadline <= .now { return .timedOut }
    }
  }

  private func launch() -> Int32 {
    let context = Unmanaged.passRetained(self)
    let error = chancery_thread_start(
      name,
      { context in
        // The pointer is the retained reference passed below; a non-null argument comes in.
        Unmanaged<ThreadCore>.fromOpaque(context!).takeRetainedValue().run()
      }, context.toOpaque())
    if error != 0 { context.release() }
    return error
  }

  /// The body of the thread: runs jobs, parks while there are none, ends when stopped and empty.
  private func run() {
    identity.store(UInt(pthread_self()), ordering: .relaxed)
    var batch: [Entry] = []
    while true {
      enum Next { case run, park, end([CheckedContinuation<Void, Never>]) }
      let next: Next = state.withLock { state in
        if !state.queue.isEmpty {
          swap(&batch, &state.queue)
          return .run
        }
        if !state.isStopping {
          state.isParked = true
          return .park
        }
        // Cleared before another thread may take over, which happens only once isRunning is false.
        identity.store(0, ordering: .relaxed)
        state.isRunning = false
        defer { state.joiners = [] }
        return .end(state.joiners)
      }
      switch next {
      case .run:
        for entry in batch {
          entry.job.runSynchronously(on: entry.executor.asUnownedSerialExecutor())
        }
        batch.removeAll(keepingCapacity: batch.capacity <= 1024)
      case .park:
        parking.wait()
      case .end(let joiners):
        for joiner in joiners { joiner.resume() }
        return
      }
    }
  }
}

extension ContinuousClock.Instant {
  /// Nanoseconds until this instant, 0 if it has passed; a century when it is further away.
  var nanosecondsFromNow: Int64 {
    let (seconds, attoseconds) = (self - .now).components
    if seconds < 0 || attoseconds < 0 { return 0 }
    return min(seconds, 3_000_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
