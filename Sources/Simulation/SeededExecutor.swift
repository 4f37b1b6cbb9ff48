import Synchronization
import TimeAndChance

/// Runs tasks one at a time on the calling thread, in an order that a seed decides: the same seed gives the same run.
///
/// A task that prefers this executor, and every child task of it, runs here and nowhere else, provided that nothing in it
/// blocks, starts a task without that preference, or resumes a continuation from another thread.
public final class SeededExecutor: TaskExecutor {
  private let random: SeededRandom
  private let jobs = Mutex<[UnownedJob]>([])

  /// An executor whose choices follow from `seed`.
  public init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// Takes a job; Swift's runtime calls it.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
  }

  /// Runs one of the jobs that are ready; returns whether there was one.
  public func step() -> Bool {
    let job = jobs.withLock { jobs -> UnownedJob? in
      guard !jobs.isEmpty else { return nil }
      return jobs.remove(at: random.next(below: jobs.count))
    }
    job?.runSynchronously(on: asUnownedTaskExecutor())
    return job != nil
  }
}
