import NIOCore
public import NIOPosix

/// The threads that move bytes and run handlers: an event loop each, with a task executor that runs on it.
public final class EventLoops: Sendable {
  /// The group, for other users of SwiftNIO in the process.
  public let group: MultiThreadedEventLoopGroup
  private let executors: [ObjectIdentifier: LoopExecutor]

  /// Starts `threads` event loops, at least one.
  public init(threads: Int = 1) {
    precondition(threads > 0, "there must be an event loop, got \(threads)")
    let ticks = LoopTicks()
    group = MultiThreadedEventLoopGroup(numberOfThreads: threads, metricsDelegate: ticks)
    executors = Dictionary(
      uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), LoopExecutor($0)) })
    ticks.observe(executors)
  }

  /// Ends the threads; all servers and channels on them must be closed before.
  public func shutdown() async {
    // Only fails when the group was shut down before, which is what is wanted.
    try? await group.shutdownGracefully()
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
