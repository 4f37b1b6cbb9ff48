import Domain
import RPC

/// The lines of all algorithms.
struct LineWorkers: Sendable {
  static let stopped = RPCError(.unavailable, "this KeyKeeper is stopping: call another")

  /// In the order of the algorithms.
  let all: [LineWorker]

  init(keyKeeper: String, _ context: KeeperContext, _ recorder: ReleaseRecorder) {
    all = SignatureAlgorithm.allCases.map { LineWorker($0, keyKeeper: keyKeeper, context, recorder) }
  }

  subscript(algorithm: SignatureAlgorithm) -> LineWorker {
    guard let line = all.first(where: { $0.algorithm == algorithm }) else {
      preconditionFailure("there is a line for every algorithm")
    }
    return line
  }
}
