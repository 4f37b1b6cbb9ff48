public import Domain
import Synchronization
public import TimeAndChance

/// All stores in the memory of one process, for tests, the simulator, and running without Postgres. It does what the
/// Postgres stores do, and what it does follows from its calls, the clock and the source of randomness alone.
///
/// Nothing is kept when the process ends. What it holds grows with what is stored; only events are dropped, the oldest
/// first, beyond `maximumEvents`. Its calls never suspend, and never throw `unavailable` or `outcomeUnknown`.
public final class MemoryDatabase: Sendable {
  /// How many events are kept.
  public static let maximumEvents = 100_000

  let policy: BatchPolicy
  let random: any RandomSource
  private let clock: any ServiceClock
  private let startedAt: (instant: ContinuousClock.Instant, time: Timestamp)
  private let state = Mutex(MemoryState())

  /// An empty database with the source `records`.
  ///
  /// `startedAt` is the wall-clock time at this moment; from then on it goes as `clock` does. With `sabotage` it breaks a
  /// promise.
  public init(
    clock: any ServiceClock, random: any RandomSource, startedAt: Timestamp, policy: BatchPolicy = BatchPolicy(),
    sabotage: Sabotage? = nil
  ) {
    state.withLock { $0.sabotage = sabotage }
    self.clock = clock
    self.random = random
    self.policy = policy
    self.startedAt = (clock.now, startedAt)
  }

  /// Runs a step that nothing else can interrupt or see half done.
  func step<Result: Sendable>(
    _ body: (inout MemoryState, MemoryState.Moment) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    let instant = clock.now
    let time = startedAt.time.advanced(by: startedAt.instant.duration(to: instant))
    return try state.withLock { state throws(StorageError) in
      state.ticks += 1
      return try body(&state, MemoryState.Moment(instant: instant, time: time, tick: state.ticks))
    }
  }

  /// Changes what is stored behind the store's back, to show that an audit notices.
  package func tamper(_ body: (inout MemoryState) -> Void) {
    state.withLock { body(&$0) }
  }
}

extension MemoryDatabase: RecordStore, JobStore, KeyStore, EventStore, AuditStore {}
