/// Which sides of a call carry a stream.
public enum CallShape: Sendable, Hashable, CaseIterable {
  /// One request, one reply.
  case unary
  /// A stream of requests, one reply.
  case clientStreaming
  /// One request, a stream of replies.
  case serverStreaming
  /// A stream each way.
  case bidirectional

  /// Whether the caller sends more than one message.
  public var streamsRequests: Bool { self == .clientStreaming || self == .bidirectional }
  /// Whether the server sends more than one message.
  public var streamsReplies: Bool { self == .serverStreaming || self == .bidirectional }
}

/// What repeating a call does, from the `idempotency_level` option of the .proto file.
public enum Idempotency: Sendable, Hashable {
  /// Nothing is promised: never repeated by the runtime once sent.
  case unknown
  /// The call changes nothing.
  case noSideEffects
  /// Repeating the call has the effect of one.
  case idempotent
}

/// A method as both sides know it. Generated code holds one for each method of a .proto file.
public struct MethodDescriptor: Sendable, Hashable {
  /// The full name of the service, such as `chancery.v1.Jobs`.
  public let service: String
  /// The name of the method, such as `Submit`.
  public let method: String
  /// Which sides stream.
  public let shape: CallShape
  /// What repeating does.
  public let idempotency: Idempotency
  /// Both names as they travel, so that neither making nor routing a call handles strings.
  let name: MethodName

  /// Makes a descriptor; both names must be non-empty and without NUL.
  public init(service: String, method: String, shape: CallShape, idempotency: Idempotency = .unknown) {
    precondition(!service.isEmpty && !method.isEmpty, "a method needs a service and a name")
    precondition(!service.utf8.contains(0) && !method.utf8.contains(0), "the name of a method holds no NUL")
    self.service = service
    self.method = method
    self.shape = shape
    self.idempotency = idempotency
    name = MethodName(service: service, method: method)
  }

  /// `/service/method`, as gRPC writes it.
  public var path: String { "/\(service)/\(method)" }
}

/// The names of a service and a method as UTF-8.
struct MethodName: Sendable, Hashable {
  var service: ArraySlice<UInt8> = []
  var method: ArraySlice<UInt8> = []
}

extension MethodName {
  init(service: String, method: String) {
    self.init(service: Array(service.utf8)[...], method: Array(method.utf8)[...])
  }
}
