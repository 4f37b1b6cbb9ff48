public import ProtobufRuntime

/// The messages that go out on a call.
public struct RPCWriter<Message: ProtobufMessage>: Sendable {
  private let sink: any MessageSink

  init(_ sink: any MessageSink) { self.sink = sink }

  /// Sends a message; waits while the connection is behind, so that a slow reader slows its writer.
  ///
  /// Throws how the call failed if it has, `FAILED_PRECONDITION` when it takes no more messages, `RESOURCE_EXHAUSTED` for a
  /// message above the frame limit, `INTERNAL` for one that cannot be encoded, `CANCELLED` when the task is cancelled while
  /// it waits.
  public func write(_ message: Message) async throws(RPCError) {
    let encoded = try EncodedMessage(message)
    try await sink.send(encoded.bytes)
  }

  /// The same with a message that was encoded before, as when many are sent the same.
  public func write(_ message: EncodedMessage<Message>) async throws(RPCError) { try await sink.send(message.bytes) }

  /// Says that no more messages will be sent; on a server's side the handler says so by returning.
  public func finish() { sink.finish() }
}

/// A message as it travels, to be sent to many.
public struct EncodedMessage<Message: ProtobufMessage>: Sendable {
  let bytes: [UInt8]

  /// Encodes a message; throws `INTERNAL` for one that cannot be encoded.
  public init(_ message: Message) throws(RPCError) {
    do {
      bytes = try message.protobufBytes()
    } catch {
      throw RPCError(.internal, "\(Message.protobufName) cannot be encoded: \(error)")
    }
  }
}

/// What a writer writes to: one direction of a call.
protocol MessageSink: Sendable {
  func send(_ message: [UInt8]) async throws(RPCError)
  func finish()
}
