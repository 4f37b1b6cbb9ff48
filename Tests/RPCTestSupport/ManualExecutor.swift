import DequeModule
import Synchronization

/// Runs jobs on the thread that calls `run`, in the order in which they were enqueued.
package final class ManualExecutor: TaskExecutor {
  private let jobs = Mutex<Deque<UnownedJob>>([])

  /// An executor without jobs.
  package init() {}

  /// See `TaskExecutor`.
  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
  }

  /// Runs jobs, and what they enqueue, until none is left.
  package func run() {
    while let job = jobs.withLock({ $0.popFirst() }) { job.runSynchronously(on: asUnownedTaskExecutor()) }
  }
}

/// A run in virtual time on one thread.
package struct Simulation: Sendable {
  /// Runs everything.
  package let executor = ManualExecutor()
  /// Advances whenever nothing can run.
  package let clock = ManualClock()

  /// A simulation at the start of its time.
  package init() {}

  /// All tasks wait for each other: nothing can run and nobody sleeps.
  package struct Stuck: Error {}

  /// Runs `body` and everything it starts to its end, on the calling thread.
  package func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let outcome = Outcome<Value>()
    Task(executorPreference: executor) {
      do {
        outcome.set(.success(try await body()))
      } catch {
        outcome.set(.failure(error))
      }
    }
    while true {
      executor.run()
      if let result = outcome.get() { return try result.get() }
      guard clock.advanceToNextSleeper() else { throw Stuck() }
    }
  }

  private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }
    func get() -> Result<Value, any Error>? { result.withLock { $0 } }
  }
}
