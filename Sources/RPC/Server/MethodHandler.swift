public import ProtobufRuntime

/// The server's side of one method, as bytes. Typed ones are made by the functions below, which generated code calls.
public struct MethodHandler: Sendable {
  /// How a handler takes its call.
  public enum Body: Sendable {
    /// One request, one reply.
    case unary(@Sendable (ArraySlice<UInt8>, ServerContext) async throws -> [UInt8])
    /// Streams both ways; a shape with one message on a side sends or reads just one. A stream of replies ends when the
    /// handler returns; one reply must have been sent by then.
    case streams(@Sendable (ServerCall, ServerContext) async throws -> Void)
  }

  /// The method served.
  public let method: MethodDescriptor
  /// What serves it.
  public let body: Body

  /// Makes an untyped handler, such as a proxy's. `body` may be `.unary` for a unary method only.
  public init(_ method: MethodDescriptor, body: Body) {
    if case .unary = body { precondition(method.shape == .unary, "\(method.path) streams") }
    self.method = method
    self.body = body
  }

  /// A handler of a method with one request and one reply.
  public static func unary<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor, _ body: @escaping @Sendable (Request, ServerContext) async throws -> Reply
  ) -> MethodHandler {
    MethodHandler(method, body: .unary { bytes, context in try encode(try await body(try decode(bytes), context)) })
  }

  /// A handler of a method with a stream of requests and one reply.
  public static func clientStreaming<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor, _ body: @escaping @Sendable (RPCReader<Request>, ServerContext) async throws -> Reply
  ) -> MethodHandler {
    MethodHandler(
      method,
      body: .streams { call, context in
        call.reply(try encode(try await body(RPCReader(call, isServer: true), context)))
      })
  }

  /// A handler of a method with one request and a stream of replies.
  public static func serverStreaming<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor,
    _ body: @escaping @Sendable (Request, RPCWriter<Reply>, ServerContext) async throws -> Void
  ) -> MethodHandler {
    MethodHandler(
      method,
      body: .streams { call, context in
        try await body(try decode(try await call.onlyRequest()), RPCWriter(call), context)
      })
  }

  /// A handler of a method with a stream each way.
  public static func bidirectional<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor,
    _ body: @escaping @Sendable (RPCReader<Request>, RPCWriter<Reply>, ServerContext) async throws -> Void
  ) -> MethodHandler {
    MethodHandler(
      method,
      body: .streams { call, context in
        try await body(RPCReader(call, isServer: true), RPCWriter(call), context)
      })
  }
}

private func decode<Request: ProtobufMessage>(_ bytes: ArraySlice<UInt8>) throws(RPCError) -> Request {
  do {
    return try Request(protobuf: bytes)
  } catch {
    throw RPCError(.invalidArgument, "\(Request.protobufName): \(error)")
  }
}

private func encode<Reply: ProtobufMessage>(_ reply: Reply) throws(RPCError) -> [UInt8] {
  do {
    return try reply.protobufBytes()
  } catch {
    throw RPCError(.internal, "\(Reply.protobufName) cannot be encoded: \(error)")
  }
}
