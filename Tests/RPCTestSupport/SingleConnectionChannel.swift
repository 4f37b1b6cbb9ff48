@testable package import RPC

/// A channel of one connection that is there already.
package struct SingleConnectionChannel: RPCChannel {
  package let connection: ClientConnection

  package init(_ connection: ClientConnection) { self.connection = connection }

  package func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8> {
    guard let reply = try await connection.unary(outgoing(method, request, options)) else { throw Self.unusable }
    return reply
  }

  package func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall {
    guard let call = try connection.open(outgoing(method, request, options)) else { throw Self.unusable }
    return call
  }

  /// What a call gets that cannot be made on the connection.
  package static let unusable = RPCError(.unavailable, "the connection takes no calls")

  private func outgoing(_ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions) -> OutgoingCall {
    OutgoingCall(
      method: method, request: request, metadata: options.metadata,
      deadline: options.timeout.map { connection.clock.now.advanced(by: $0) }, received: options.received)
  }
}
