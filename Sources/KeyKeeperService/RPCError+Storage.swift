import RPC
import Storage

extension RPCError {
  /// What a caller sees of a failure of a store or the cache.
  init(_ error: StorageError) {
    let code: StatusCode =
      switch error.code {
      case .notFound: .notFound
      case .conflict: .alreadyExists
      case .wrongState: .failedPrecondition
      case .unavailable, .outcomeUnknown: .unavailable
      case .cancelled: .cancelled
      default: .internal
      }
    self.init(code, error.message)
  }
}
