import Synchronization
import TimeAndChance

/// Runs tasks one at a time on the calling thread, in an order that a seed decides: the same seed gives the same run.
///
/// A task that prefers this executor, and every child task of it, runs here and nowhere else, provided that nothing in it
/// blocks, starts a task without that preference, or resumes a continuation from another thread.
public final class SeededExecutor: TaskExecutor {
  /// A job, and on whose behalf it runs.
  struct Ready {
    let job: UnownedJob
    let executor: UnownedTaskExecutor
  }

  private let random: SeededRandom
  private let jobs = Mutex<[Ready]>([])

  /// An executor whose choices follow from `seed`.
  public init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// Takes a job; Swift's runtime calls it.
  public func enqueue(_ job: consuming ExecutorJob) {
    add(Ready(job: UnownedJob(job), executor: asUnownedTaskExecutor()))
  }

  func add(_ ready: Ready) { jobs.withLock { $0.append(ready) } }

  /// Runs one of the jobs that are ready; returns whether there was one.
  public func step() -> Bool {
    let ready = jobs.withLock { jobs -> Ready? in
      guard !jobs.isEmpty else { return nil }
      return jobs.remove(at: random.next(below: jobs.count))
    }
    ready?.job.runSynchronously(on: ready!.executor)
    return ready != nil
  }
}

/// One process of a simulation: its tasks run on the world's executor, unless it is stopped, as SIGSTOP does. Time goes on
/// without it.
final class ProcessExecutor: TaskExecutor {
  private struct State {
    var isStopped = false
    var waiting: [SeededExecutor.Ready] = []
  }

  private let world: SeededExecutor
  private let state = Mutex(State())

  init(_ world: SeededExecutor) { self.world = world }

  func enqueue(_ job: consuming ExecutorJob) {
    let ready = SeededExecutor.Ready(job: UnownedJob(job), executor: asUnownedTaskExecutor())
    let runs = state.withLock { state in
      if state.isStopped { state.waiting.append(ready) }
      return !state.isStopped
    }
    if runs { world.add(ready) }
  }

  /// Stops the process: nothing of it runs any more.
  func stop() { state.withLock { $0.isStopped = true } }

  /// Lets it go on where it was.
  func resume() {
    let waiting = state.withLock { state in
      state.isStopped = false
      defer { state.waiting = [] }
      return state.waiting
    }
    for ready in waiting { world.add(ready) }
  }
}
