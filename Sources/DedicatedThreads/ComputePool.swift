/// A fixed number of threads that run long computations, such as signing a batch, first come, first served.
///
/// The queue is bounded: work beyond the limit is refused, never buffered. The pool ends its threads when it is shut down
/// or no longer referenced.
public final class ComputePool: ComputeExecutor {
  private let core: ComputeCore

  /// Starts the threads.
  ///
  /// - Parameters:
  ///   - threads: how many; by default one for each core that the process may use.
  ///   - queueLimit: how many pieces of work may wait, besides those that run.
  ///   - name: the name of the threads, shown by tools such as `top -H`; Linux keeps the first 15 bytes.
  /// - Throws: ``DedicatedThreadError`` if the system has no thread left; those already started then end.
  public init(
    threads: Int = ComputePool.availableCores, queueLimit: Int = 1024, name: String = "compute"
  ) throws(DedicatedThreadError) {
    precondition(threads > 0 && queueLimit >= 0, "a compute pool needs a thread and a limit that is not negative")
    core = ComputeCore(queueLimit: queueLimit)
    for _ in 0..<threads {
      do {
        try core.startThread(name: name)
      } catch {
        _ = core.shutDown(finishingQueued: false)
        throw error
      }
    }
  }

  deinit {
    // Nothing is queued any more: each caller of run() holds a reference until its work has ended.
    _ = core.shutDown(finishingQueued: false)
  }

  /// Runs `work` on one of the threads; see ``ComputeExecutor/run(_:)``.
  ///
  /// - Throws: ``ComputeError``.
  public func run<T: Sendable>(_ work: @escaping @Sendable (CancellationFlag) -> T) async throws(ComputeError) -> T {
    let flag = CancellationFlag()
    let result: Result<T, ComputeError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        core.submit(
          ComputeItem(
            flag: flag,
            run: { continuation.resume(returning: .success(work(flag))) },
            refuse: { continuation.resume(returning: .failure($0)) }))
      }
    } onCancel: {
      flag.cancel()
      core.withdraw(flag)
    }
    return try result.get()
  }

  /// What becomes of work that waits when the pool shuts down.
  public enum QueuedWork: Sendable {
    /// It runs.
    case finish
    /// Its callers get ``ComputeError/shutDown``.
    case refuse
  }

  /// Takes no more work and returns when all threads have ended; running work is never broken off.
  ///
  /// Calling it again, or several at a time, is allowed. Cancellation of the waiting task changes nothing. Must not be
  /// called from work of the same pool.
  public func shutDown(_ queued: QueuedWork = .finish) async {
    for item in core.shutDown(finishingQueued: queued == .finish) { item.refuse(.shutDown) }
    await withCheckedContinuation { core.notifyWhenEnded($0) }
  }

  /// How much work waits and how much runs, at this moment.
  public var load: (waiting: Int, running: Int) { core.load }
}
