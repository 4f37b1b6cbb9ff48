import NIOCore

/// Runs tasks on the thread of an event loop, so that neither a handler nor a caller needs a thread hop.
///
/// `@unchecked Sendable`: what is mutable is touched on the loop's thread alone.
final class LoopExecutor: TaskExecutor, @unchecked Sendable {
  private let loop: any EventLoop
  private var jobs: [UnownedJob] = []
  /// The array in turns with `jobs`, so that draining does not allocate.
  private var batch: [UnownedJob] = []

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if loop.inEventLoop {
      add(job)
    } else {
      loop.execute { self.add(job) }
    }
  }

  private func add(_ job: UnownedJob) {
    jobs.append(job)
    if jobs.count == 1 { loop.execute { self.drain() } }
  }

  private func drain() {
    swap(&jobs, &batch)
    for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
    batch.removeAll(keepingCapacity: true)
  }
}
