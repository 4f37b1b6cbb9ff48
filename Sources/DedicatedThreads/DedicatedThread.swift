internal import CPosix

/// One operating-system thread that runs the jobs of an actor, so that blocking C calls never occupy a thread of
/// Swift's cooperative pool.
///
/// An actor that owns a `DedicatedThread` returns it from `unownedExecutor`; its methods then run on that thread, one at
/// a time, and may block. A method that waits for a socket calls ``wait(for:_:until:)``, which also returns when another
/// thread calls ``wake()``: so a cancelled task need not wait for the socket.
///
/// All signals are blocked on the thread. The queue of jobs is bounded by the number of tasks that call the actor.
///
/// **Lifetime.** The thread ends after ``stop()``, or when the last reference to this object goes, once its queue is
/// empty; neither waits for it. No job is ever dropped, or the task behind it would hang for ever: a job that arrives
/// after the thread has ended starts a new one, which ends again when the queue is empty.
public final class DedicatedThread: SerialExecutor {
  private let core: ThreadCore

  /// Starts the thread.
  ///
  /// - Parameter name: shown by tools such as `top -H`; Linux keeps the first 15 bytes.
  /// - Throws: ``DedicatedThreadError`` if the system has no thread or descriptor left.
  public init(name: String) throws(DedicatedThreadError) {
    core = try ThreadCore(name: name)
    try core.start()
  }

  deinit {
    core.stop()
  }

  /// Queues a job, which the thread runs after those queued before.
  public func enqueue(_ job: consuming ExecutorJob) {
    // The entry keeps this object alive: the job runs with a reference to its executor that nothing else retains.
    core.enqueue(ThreadCore.Entry(job: UnownedJob(job), executor: self))
  }

  /// Whether the caller runs on this thread.
  public var isCurrent: Bool { core.isCurrent }

  /// Traps unless the caller runs on this thread; lets `assumeIsolated` work.
  public func checkIsolated() {
    precondition(isCurrent, "not on the dedicated thread \(core.name)")
  }

  /// Why ``wait(for:_:until:)`` returned.
  public enum WaitOutcome: Sendable, Equatable {
    /// The descriptor shows one of the events, an error or a hang-up.
    case ready
    /// ``wake()`` was called since the last wait.
    case woken
    /// The time is up.
    case timedOut
  }

  /// The events of a descriptor to wait for.
  public struct Events: OptionSet, Sendable {
    /// The `poll` bits.
    public let rawValue: Int16

    /// Events from `poll` bits.
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// Something can be read.
    public static let readable = Events(rawValue: 0x1)  // POLLIN
    /// Something can be written.
    public static let writable = Events(rawValue: 0x4)  // POLLOUT
  }

  /// Blocks until the descriptor is ready, another thread calls ``wake()``, or the time is up.
  ///
  /// A wake-up only says that something may have changed. It wins over a ready descriptor, and may be left over from
  /// something that has ended since. So whoever wakes changes some state first, and the job looks at that state before each
  /// wait. Call it on this thread only.
  ///
  /// - Parameters:
  ///   - descriptor: what to wait for, or nil to wait for a wake-up or the time alone.
  ///   - events: what makes the descriptor ready.
  ///   - deadline: when to give up; nil waits without limit.
  public func wait(
    for descriptor: Int32?, _ events: Events, until deadline: ContinuousClock.Instant?
  ) -> WaitOutcome {
    checkIsolated()
    return core.wait(for: descriptor, events, until: deadline)
  }

  /// Makes a ``wait(for:_:until:)`` in progress, or else the next one, return. Any thread may call it; it never blocks.
  public func wake() {
    core.wake()
  }

  /// Lets the thread end once its queue is empty. Returns at once; calling it again changes nothing.
  public func stop() {
    core.stop()
  }

  /// Waits until a stopped thread has run its last job.
  ///
  /// Returns at once if the thread has ended. Without ``stop()`` it waits until somebody calls that. Cancellation of the
  /// waiting task changes nothing. Must not be called by a job of this thread.
  public func join() async {
    await withCheckedContinuation { core.notifyWhenEnded($0) }
  }
}

/// The system refused a thread, or the descriptor that wakes it.
public struct DedicatedThreadError: Error, CustomStringConvertible {
  /// The `errno` value.
  public let errno: Int32
  /// What was wanted, why it failed, and what to do.
  public let description: String

  init(_ what: String, errno: Int32) {
    self.errno = errno
    description =
      "cannot create \(what): errno \(errno); raise the limit of threads or open files (ulimit -u, ulimit -n) "
      + "or configure fewer connections"
  }
}
