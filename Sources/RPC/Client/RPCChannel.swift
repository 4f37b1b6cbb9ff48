public import ProtobufRuntime

/// Where a client sends its calls: one connection, several, or a proxy. Untyped; the typed functions below, which the
/// generated clients call, sit on top.
///
/// Cancelling the task that makes a call cancels the call: the server is told, and the call throws `CANCELLED`.
public protocol RPCChannel: Sendable {
  /// Makes a call with one request and one reply, as bytes.
  func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8>

  /// Opens a call as streams of bytes, which the caller must end. `request` is the one request of a call that does not
  /// stream them, else empty.
  func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall
}

extension RPCChannel {
  /// One request, one reply.
  ///
  /// Throws what the server answered; `INVALID_ARGUMENT` for a request that cannot be encoded, `INTERNAL` for a reply that
  /// cannot be decoded.
  public func unary<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor, _ request: Request, options: CallOptions
  ) async throws(RPCError) -> Reply {
    try decode(await unaryBytes(method, try encode(request), options: options), from: method)
  }

  /// A stream of requests, one reply. `body` sends; the stream is ended when it returns, and the call is cancelled when
  /// it throws. A server may end the call before it has read all: then `write` throws, and what `body` throws gives way
  /// to what the server answered.
  public func clientStreaming<Request: ProtobufMessage, Reply: ProtobufMessage>(
    _ method: MethodDescriptor, options: CallOptions, _ body: (RPCWriter<Request>) async throws -> Void
  ) async throws -> Reply {
    let call = try await open(method, request: [], options: options)
    return try await call.ending {
      do {
        try await body(RPCWriter(call))
      } catch  where call.hasRefusedMessage && !Task.isCancelled {
        // The outcome, read below, says why.
      }
      call.finish()
      guard let reply = try await call.next() else {
        throw RPCError(.internal, "\(method.path) ended without a reply")
      }
      return try decode(reply, from: method)
    }
  }

  /// One request, a stream of replies, lent to `body`. The call is cancelled when `body` returns before its end.
  public func serverStreaming<Request: ProtobufMessage, Reply: ProtobufMessage, Result>(
    _ method: MethodDescriptor, _ request: Request, options: CallOptions,
    _ body: (RPCReader<Reply>) async throws -> Result
  ) async throws -> Result {
    let call = try await open(method, request: try encode(request), options: options)
    return try await call.ending { try await body(RPCReader(call, isServer: false)) }
  }

  /// A stream each way, lent to `body`, which ends the requests with `finish`. The call is cancelled when `body` returns
  /// before the end of the replies.
  public func bidirectional<Request: ProtobufMessage, Reply: ProtobufMessage, Result>(
    _ method: MethodDescriptor, options: CallOptions,
    _ body: (RPCWriter<Request>, RPCReader<Reply>) async throws -> Result
  ) async throws -> Result {
    let call = try await open(method, request: [], options: options)
    return try await call.ending { try await body(RPCWriter(call), RPCReader(call, isServer: false)) }
  }
}

extension ClientCall {
  /// Runs `body` and ends the call whatever it does; cancellation of the task cancels the call.
  fileprivate func ending<Result>(_ body: () async throws -> Result) async throws -> Result {
    defer { cancel() }
    return try await withTaskCancellationHandler {
      try await body()
    } onCancel: {
      cancel()
    }
  }
}

private func encode(_ message: some ProtobufMessage) throws(RPCError) -> [UInt8] {
  do {
    return try message.protobufBytes()
  } catch {
    throw RPCError(.invalidArgument, "the request cannot be encoded: \(error)")
  }
}

private func decode<Reply: ProtobufMessage>(
  _ bytes: ArraySlice<UInt8>, from method: MethodDescriptor
) throws(RPCError) -> Reply {
  do {
    return try Reply(protobuf: bytes)
  } catch {
    throw RPCError(.internal, "the reply of \(method.path) cannot be decoded: \(error)")
  }
}
