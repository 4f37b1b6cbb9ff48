public import Domain
import Synchronization
public import TimeAndChance

/// All stores in the memory of one process, for tests, the simulator, and running without Postgres. It does what the
/// Postgres stores do, and what it does follows from its calls, the clock and the source of randomness alone.
///
/// Nothing is kept when the process ends. What it holds grows with what is stored; only events are dropped, the oldest
/// first, beyond `maximumEvents`. Unless it is `faulty` its calls never suspend, and never throw `unavailable` or
/// `outcomeUnknown`. In a task that is cancelled they throw `cancelled`, as calls of a server do.
public final class MemoryDatabase: Sendable {
  /// How many events are kept.
  public static let maximumEvents = 100_000

  let policy: BatchPolicy
  let random: any RandomSource
  private let clock: any ServiceClock
  private let startedAt: (instant: ContinuousClock.Instant, time: Timestamp)
  private let content: Content
  /// Decides about each call; nil where all are made.
  private let fate: (@Sendable () async -> StoreFate)?

  /// What is stored; shared by all who look at it.
  private final class Content: Sendable {
    let state = Mutex(MemoryState())
  }

  /// An empty database with the source `records`.
  ///
  /// `startedAt` is the wall-clock time at this moment; from then on it goes as `clock` does. With `sabotage` it breaks a
  /// promise.
  public init(
    clock: any ServiceClock, random: any RandomSource, startedAt: Timestamp, policy: BatchPolicy = BatchPolicy(),
    sabotage: Sabotage? = nil
  ) {
    content = Content()
    content.state.withLock { $0.sabotage = sabotage }
    fate = nil
    self.clock = clock
    self.random = random
    self.policy = policy
    self.startedAt = (clock.now, startedAt)
  }

  private init(_ other: MemoryDatabase, fate: @escaping @Sendable () async -> StoreFate) {
    content = other.content
    self.fate = fate
    (clock, random, policy, startedAt) = (other.clock, other.random, other.policy, other.startedAt)
  }

  /// The same stores, reached in a way that takes time and can fail: `fate` decides about each call, when it likes.
  public func faulty(_ fate: @escaping @Sendable () async -> StoreFate) -> MemoryDatabase {
    MemoryDatabase(self, fate: fate)
  }

  /// Runs a step that changes nothing that can be seen.
  func look<Result: Sendable>(
    _ body: (inout MemoryState, MemoryState.Moment) throws(StorageError) -> Result
  ) async throws(StorageError) -> Result {
    if let fate, await fate() != .made { throw .away }
    return try run(body)
  }

  /// Runs a step that nothing else can interrupt or see half done.
  func step<Result: Sendable>(
    _ body: (inout MemoryState, MemoryState.Moment) throws(StorageError) -> Result
  ) async throws(StorageError) -> Result {
    switch await fate?() ?? .made {
    case .made: return try run(body)
    case .unavailable: throw .away
    case .outcomeUnknown:
      _ = try run(body)
      throw StorageError(.outcomeUnknown, "the connection was lost while the answer was awaited")
    }
  }

  /// Runs a step, whatever the fate of calls.
  func run<Result: Sendable>(
    _ body: (inout MemoryState, MemoryState.Moment) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    if Task.isCancelled { throw StorageError(.cancelled, "the task was cancelled") }
    let instant = clock.now
    let time = startedAt.time.advanced(by: startedAt.instant.duration(to: instant))
    return try content.state.withLock { state throws(StorageError) in
      state.ticks += 1
      return try body(&state, MemoryState.Moment(instant: instant, time: time, tick: state.ticks))
    }
  }

  /// Changes what is stored behind the store's back, to show that an audit notices.
  package func tamper(_ body: (inout MemoryState) -> Void) {
    content.state.withLock { body(&$0) }
  }
}

/// What becomes of a call of a store that can fail.
public enum StoreFate: Sendable, Hashable {
  /// It is made.
  case made
  /// It is not made, and throws `unavailable`.
  case unavailable
  /// It is made, but throws `outcomeUnknown` if it changes something, and `unavailable` if not.
  case outcomeUnknown
}

extension StorageError {
  fileprivate static let away = StorageError(.unavailable, "the store cannot be reached")
}

extension MemoryDatabase: RecordStore, JobStore, KeyStore, EventStore, AuditStore {}
