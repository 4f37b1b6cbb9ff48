public import RPC
public import Storage

extension RPCError {
  /// What a caller sees of a store's failure: the one place where codes of stores become codes of calls.
  public init(_ error: StorageError) {
    let code: StatusCode =
      switch error.code {
      case .notFound: .notFound
      case .conflict: .alreadyExists
      case .wrongState, .schemaMismatch: .failedPrecondition
      case .unavailable, .outcomeUnknown: .unavailable
      case .cancelled: .cancelled
      default: .internal
      }
    self.init(code, error.message)
  }
}
