import Synchronization
public import TimeAndChance

/// One thread, one clock, one source of randomness: what a simulated cluster runs in. The same seed and the same code give
/// the same run.
public struct World: Sendable {
  /// Where everything runs.
  public let executor: SeededExecutor
  /// The only time there is.
  public let clock: VirtualClock
  /// The only randomness there is.
  public let random: SeededRandom

  /// The world that belongs to `seed`.
  public init(seed: UInt64) {
    executor = SeededExecutor(seed: seed)
    clock = VirtualClock()
    // Another sequence than the executor's, so that a service that draws one number more does not change the order of jobs.
    random = SeededRandom(seed: seed ^ 0xA5A5_A5A5_5A5A_5A5A)
  }

  /// How a run ended early.
  public enum Failure: Error, Equatable {
    /// Nothing can happen any more, and the work is not done.
    case deadlock
    /// The work took longer than the limit of simulated time.
    case timeLimit(Duration)
  }

  /// Runs `work` to its end, moving the clock whenever nothing else can happen. Blocks the calling thread. Throws what
  /// `work` throws, or `Failure`.
  public func run<Value: Sendable>(
    timeLimit: Duration = .seconds(3600), _ work: @escaping @Sendable () async throws -> Value
  ) throws -> Value {
    let box = OutcomeBox<Value>()
    let task = Task(executorPreference: executor) {
      do {
        box.set(.success(try await work()))
      } catch {
        box.set(.failure(error))
      }
    }
    while box.get() == nil {
      if executor.step() { continue }
      guard clock.advanceToNextWake() else { throw Failure.deadlock }
      if clock.elapsed > timeLimit {
        task.cancel()
        throw Failure.timeLimit(timeLimit)
      }
    }
    return try box.get()!.get()
  }
}

/// Where a task leaves its outcome for the thread that runs it.
private final class OutcomeBox<Value: Sendable>: Sendable {
  private let outcome = Mutex<Result<Value, any Error>?>(nil)

  func set(_ outcome: Result<Value, any Error>) { self.outcome.withLock { $0 = outcome } }
  func get() -> Result<Value, any Error>? { outcome.withLock { $0 } }
}
