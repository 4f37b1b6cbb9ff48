import Synchronization

/// Runs long computations away from Swift's cooperative pool, or in place where a test wants one thread only.
public protocol ComputeExecutor: Sendable {
  /// Runs `work` and returns its value.
  ///
  /// If the calling task is cancelled before the work has begun, the work never begins and the call throws
  /// ``ComputeError/cancelled``. If it is cancelled later, the flag given to the work tells so: work that consists of
  /// many items looks at it between two of them and returns early. The call returns what the work returned, in any case
  /// only after the work has ended.
  ///
  /// - Throws: ``ComputeError``.
  func run<T: Sendable>(_ work: @escaping @Sendable (CancellationFlag) -> T) async throws(ComputeError) -> T
}

extension ComputeExecutor {
  /// Runs `work`, which does not look at cancellation once it has begun, and returns its value.
  ///
  /// - Throws: ``ComputeError``.
  public func run<T: Sendable>(_ work: @escaping @Sendable () -> T) async throws(ComputeError) -> T {
    try await run { (_: CancellationFlag) in work() }
  }
}

/// Tells running work that its caller has been cancelled. It is raised once and stays raised.
public final class CancellationFlag: Sendable {
  private let raised = Atomic(false)

  /// A flag that is not raised.
  public init() {}

  /// Whether the caller has been cancelled. Cheap enough to ask before each item of some microseconds.
  public var isCancelled: Bool { raised.load(ordering: .relaxed) }

  /// Raises the flag.
  public func cancel() { raised.store(true, ordering: .relaxed) }
}

/// Why a computation was not begun.
public enum ComputeError: Error, Equatable, CustomStringConvertible {
  /// The calling task was cancelled before the work began.
  case cancelled
  /// As many pieces of work wait as the pool allows; try again later or submit less at a time.
  case queueFull(limit: Int)
  /// The pool has been shut down.
  case shutDown

  /// What happened and what to do.
  public var description: String {
    switch self {
    case .cancelled: "the work was cancelled before it began"
    case .queueFull(let limit): "the compute pool already has \(limit) pieces of work waiting: submit less at a time"
    case .shutDown: "the compute pool has been shut down"
    }
  }
}
