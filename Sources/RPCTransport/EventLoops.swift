import NIOCore
public import NIOPosix
import Synchronization
import TimeAndChance

/// The threads that move bytes and run handlers: an event loop each, with a task executor that runs on it.
public final class EventLoops: Sendable {
  /// The group, for other users of SwiftNIO in the process.
  public let group: MultiThreadedEventLoopGroup
  private let executors: [ObjectIdentifier: LoopExecutor]
  private let dialing = Mutex(Dialing())

  /// Attempts to connect, which go on when nobody waits for them any more.
  private struct Dialing {
    var attempts = 0
    /// Set when the threads are to end; opened when the last attempt has.
    var ended: Latch?
  }

  /// Starts `threads` event loops, at least one.
  public init(threads: Int = 1) {
    precondition(threads > 0, "there must be an event loop, got \(threads)")
    let ticks = LoopTicks()
    group = MultiThreadedEventLoopGroup(numberOfThreads: threads, metricsDelegate: ticks)
    executors = Dictionary(
      uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), LoopExecutor($0)) })
    ticks.observe(executors)
  }

  /// Ends the threads; all servers and channels on them must be closed before. Waits for attempts to connect that are under
  /// way, each of which has a time limit.
  public func shutdown() async {
    let ended = Latch()
    dialing.withLock { dialing in
      dialing.ended = ended
      if dialing.attempts == 0 { ended.open() }
    }
    await ended.wait()
    // Only fails when the group was shut down before, which is what is wanted.
    try? await group.shutdownGracefully()
  }

  /// Makes an attempt to connect; nil when the threads are to end.
  func dial<Outcome>(_ attempt: () async -> Outcome) async -> Outcome? {
    let mayBegin = dialing.withLock { dialing in
      guard dialing.ended == nil else { return false }
      dialing.attempts += 1
      return true
    }
    guard mayBegin else { return nil }
    let outcome = await attempt()
    dialing.withLock { dialing in
      dialing.attempts -= 1
      if dialing.attempts == 0 { dialing.ended?.open() }
    }
    return outcome
  }

  /// Runs tasks on one of the threads, for what else is to run there one at a time.
  public var executor: any TaskExecutor { executor(of: group.any()) }

  func executor(of loop: any EventLoop) -> LoopExecutor {
    guard let executor = executors[ObjectIdentifier(loop)] else {
      preconditionFailure("an event loop of another group")
    }
    return executor
  }
}
