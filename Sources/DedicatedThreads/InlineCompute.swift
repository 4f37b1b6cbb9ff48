/// Runs computations in place, on the caller's executor.
///
/// A deterministic simulator uses it: there every step must happen on the one simulated thread. The work occupies the
/// caller's thread, so nothing that serves real traffic should use it.
public struct InlineCompute: ComputeExecutor {
  /// An executor without state.
  public init() {}

  /// Runs `work` at once, unless the calling task is cancelled.
  ///
  /// - Throws: ``ComputeError/cancelled``.
  public func run<T: Sendable>(_ work: @escaping @Sendable (CancellationFlag) -> T) async throws(ComputeError) -> T {
    guard !Task.isCancelled else { throw .cancelled }
    let flag = CancellationFlag()
    return await withTaskCancellationHandler {
      work(flag)
    } onCancel: {
      flag.cancel()
    }
  }
}
