import DequeModule
import Synchronization
public import TimeAndChance

/// A world of one thread whose time passes only when nothing is left to do: tests of hours take milliseconds, and run
/// the same way every time.
public final class VirtualWorld: Sendable {
  /// The world's time.
  public let clock = VirtualClock()
  /// The world's thread.
  public let executor = VirtualExecutor()

  /// Runs `body` and all tasks that it starts, on the calling thread. Throws what `body` throws, or `Stuck` if it waits
  /// for what never comes or lives longer than `limit`.
  public static func run<Value: Sendable>(
    limit: Duration = .seconds(86_400), _ body: @escaping @Sendable (VirtualWorld) async throws -> Value
  ) throws -> Value {
    let world = VirtualWorld()
    let outcome = Outcome<Value>()
    Task(executorPreference: world.executor) {
      do {
        let value = try await body(world)
        outcome.result.withLock { $0 = .success(value) }
      } catch {
        outcome.result.withLock { $0 = .failure(error) }
      }
    }
    while true {
      world.executor.drain()
      if let result = outcome.result.withLock({ $0 }) { return try result.get() }
      guard world.clock.elapsed < limit, world.clock.advance() else { throw Stuck(at: world.clock.elapsed) }
    }
  }

  /// The body of a test waits for what never comes.
  public struct Stuck: Error {
    /// The world's age.
    public let at: Duration
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
  }
}

/// Keeps jobs until the world's thread runs them, in order.
public final class VirtualExecutor: TaskExecutor {
  private let jobs = Mutex<Deque<UnownedJob>>([])

  /// Queues a job.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
  }

  /// Runs jobs until there are none.
  func drain() {
    while let job = jobs.withLock({ $0.popFirst() }) { job.runSynchronously(on: asUnownedTaskExecutor()) }
  }
}

/// A clock that stands still until it is advanced to the next instant for which somebody waits.
public final class VirtualClock: ServiceClock {
  /// See `ServiceClock`.
  public typealias Instant = ContinuousClock.Instant

  private struct Sleeper {
    let token: UInt64
    let deadline: Instant
    let continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var now = ContinuousClock.now
    var sleepers: [Sleeper] = []
    var nextToken: UInt64 = 0
  }

  private let start: Instant
  private let state: Mutex<State>

  init() {
    let state = State()
    start = state.now
    self.state = Mutex(state)
  }

  /// The virtual time.
  public var now: Instant { state.withLock { $0.now } }

  /// How long the world has existed.
  public var elapsed: Duration { start.duration(to: now) }

  /// As fine as a duration.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Suspends until the clock has been advanced that far.
  public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    let token = state.withLock { state in
      state.nextToken += 1
      return state.nextToken
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          if Task.isCancelled || deadline <= state.now { return true }
          state.sleepers.append(Sleeper(token: token, deadline: deadline, continuation: continuation))
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        state.sleepers.firstIndex { $0.token == token }.map { state.sleepers.remove(at: $0) }
      }
      sleeper?.continuation.resume()
    }
    try Task.checkCancellation()
  }

  /// Goes on to the earliest instant for which somebody waits; returns whether anybody does.
  func advance() -> Bool {
    let sleeper = state.withLock { state -> Sleeper? in
      let next = state.sleepers.indices.min { left, right in
        (state.sleepers[left].deadline, state.sleepers[left].token)
          < (state.sleepers[right].deadline, state.sleepers[right].token)
      }
      guard let next else { return nil }
      let sleeper = state.sleepers.remove(at: next)
      state.now = sleeper.deadline
      return sleeper
    }
    sleeper?.continuation.resume()
    return sleeper != nil
  }
}
