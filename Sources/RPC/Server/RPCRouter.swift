/// A group of methods that is served together; generated protocols refine it.
public protocol RPCService: Sendable {
  /// One handler for each method.
  var methodHandlers: [MethodHandler] { get }
}

/// Finds the handler of a method: what a server serves, fixed when it starts.
public struct RPCRouter: Sendable {
  /// By a hash of both names; the few that share one stand in a list.
  private let handlers: [UInt64: [MethodHandler]]
  /// The full names of the services, sorted.
  public let serviceNames: [String]
  /// Those who see every call.
  let interceptors: [any CallInterceptor]
  /// Who may call what.
  let access: AccessPolicy
  /// Called for an error that a handler threw and that is not an `RPCError`, before the caller is told `UNKNOWN`.
  private let onUnexpectedError: @Sendable (any Error, MethodDescriptor) -> Void

  /// Serves `services` to those whom `access` allows; `interceptors` see the calls that are. A method that two of them serve is a programming error.
  ///
  /// `onUnexpectedError` is called for each error that leaves a handler and is neither an `RPCError` nor a
  /// `CancellationError`; its caller is told `UNKNOWN` without its text, so that this is where to log it.
  public init(
    services: [any RPCService], access: AccessPolicy = .open, interceptors: [any CallInterceptor] = [],
    onUnexpectedError: @escaping @Sendable (any Error, MethodDescriptor) -> Void
  ) {
    var handlers: [UInt64: [MethodHandler]] = [:]
    var serviceNames: Set<String> = []
    for handler in services.flatMap(\.methodHandlers) {
      let method = handler.method
      let isServed = handlers[method.name.fnvHash, default: []].contains { $0.method.name == method.name }
      precondition(!isServed, "\(method.path) is served twice")
      handlers[method.name.fnvHash, default: []].append(handler)
      serviceNames.insert(method.service)
    }
    self.handlers = handlers
    self.serviceNames = serviceNames.sorted()
    self.access = access
    self.interceptors = interceptors
    self.onUnexpectedError = onUnexpectedError
  }

  /// The handler of a method; throws `UNIMPLEMENTED` saying whether the service or only the method is missing.
  func handler(of name: MethodName) throws(RPCError) -> MethodHandler {
    if let handler = handlers[name.fnvHash]?.first(where: { $0.method.name == name }) { return handler }
    guard let service = String(validating: name.service, as: UTF8.self),
      let method = String(validating: name.method, as: UTF8.self)
    else { throw RPCError(.invalidArgument, "the name of a service or method is not UTF-8") }
    guard serviceNames.contains(service) else {
      throw RPCError(.unimplemented, "there is no service '\(service)' here")
    }
    throw RPCError(.unimplemented, "service '\(service)' has no method '\(method)'")
  }

  /// What the caller sees of an error that left a handler.
  func status(of error: any Error, in method: MethodDescriptor) -> RPCError {
    switch error {
    case let error as RPCError: return error
    case is CancellationError: return RPCError(.cancelled, "the handler was cancelled")
    default:
      onUnexpectedError(error, method)
      return RPCError(.unknown, "\(method.path) failed; the server's log says why")
    }
  }
}

extension MethodName {
  /// FNV-1a (Fowler, Noll and Vo) over both names. The table's keys are the server's own, so that a peer cannot make them
  /// collide; this is a third of the cost of hashing two strings with a seeded hash.
  fileprivate var fnvHash: UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in service { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    // A byte that no UTF-8 has stands between the names.
    hash = (hash ^ 0xFF) &* 0x100_0000_01B3
    for byte in method { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash
  }
}
