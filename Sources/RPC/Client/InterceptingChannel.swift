/// A channel whose calls are seen by interceptors on their way to another channel.
public struct InterceptingChannel: RPCChannel {
  private let channel: any RPCChannel
  private let interceptors: [any CallInterceptor]

  /// Puts `interceptors` before `channel`.
  public init(_ channel: any RPCChannel, _ interceptors: [any CallInterceptor]) {
    self.channel = channel
    self.interceptors = interceptors
  }

  /// See `RPCChannel`.
  public func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8> {
    var options = options
    let observers = try begin(method, &options)
    do throws(RPCError) {
      var request = request
      try observers?.send(&request)
      var reply = try await channel.unaryBytes(method, request, options: options)
      try observers?.receive(&reply)
      observers?.end(nil)
      return reply
    } catch {
      observers?.end(error)
      throw error
    }
  }

  /// See `RPCChannel`.
  public func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall {
    var options = options
    guard let observers = try begin(method, &options) else {
      return try await channel.open(method, request: request, options: options)
    }
    do throws(RPCError) {
      var request = request
      if !method.shape.streamsRequests { try observers.send(&request) }
      let call = try await channel.open(method, request: request, options: options)
      return ClientCall(call, of: method, seenBy: observers)
    } catch {
      observers.end(error)
      throw error
    }
  }

  private func begin(
    _ method: MethodDescriptor, _ options: inout CallOptions
  ) throws(RPCError) -> CallObservers? {
    var start = CallStart(side: .client, method: method, metadata: options.metadata, peer: nil)
    let observers = try CallObservers.begin(&start, interceptors)
    options.metadata = start.metadata
    return observers
  }
}
