/// The server's end of a call with streams, as bytes.
public final class ServerCall: Sendable, MessageSink, MessageSource {
  let requests: MessageQueue
  private let id: StreamID
  private let shape: CallShape
  private let connection: ServerConnection
  /// Nil for a caller that has no place for it.
  private let reply: ReplyMetadata?
  private let observers: CallObservers?

  /// `reply` is the metadata for a caller that takes it, which then also counts credit.
  init(
    id: StreamID, shape: CallShape, connection: ServerConnection, reply: ReplyMetadata?, observers: CallObservers?
  ) {
    self.observers = observers
    self.id = id
    self.shape = shape
    self.connection = connection
    self.reply = reply
    requests = MessageQueue(id: id, owner: connection, window: reply == nil ? nil : connection.limits.streamWindow)
  }

  /// The next message from the caller, nil after its last; throws why the call has failed, or `CANCELLED` when the task is
  /// cancelled while it waits. One task at a time may read.
  public func next() async throws(RPCError) -> ArraySlice<UInt8>? {
    guard var message = try await requests.next() else { return nil }
    try observers?.receive(&message)
    return message
  }

  /// Sends one message of a reply stream; waits while the connection is behind, so that a slow reader slows its writer.
  ///
  /// Throws why the call has failed, such as `CANCELLED` when the caller is gone; `RESOURCE_EXHAUSTED` for a message above
  /// the frame limit.
  public func send(_ message: [UInt8]) async throws(RPCError) {
    precondition(shape.streamsReplies, "a call with one reply sends it with reply(_:)")
    if let headers = reply?.takeUnsentHeaders() { connection.sendHeaders(headers, on: id) }
    var message = message
    try observers?.send(&message)
    guard try await !connection.send(message, on: id) else { return }
    throw requests.failure ?? ServerConnection.callEnded
  }

  /// Sends the one reply of a call that does not stream them, which ends the call; nothing if its caller is gone. A reply
  /// above the frame limit becomes `RESOURCE_EXHAUSTED`.
  public func reply(_ message: [UInt8]) {
    precondition(!shape.streamsReplies, "a reply stream is sent with send(_:)")
    do throws(RPCError) {
      var message = message
      try observers?.send(&message)
      connection.finish(id, .reply(message))
      observers?.end(nil)
    } catch {
      connection.finish(id, .failure(error))
      observers?.end(error)
    }
  }

  /// Nothing to do: a reply stream ends when its handler returns.
  func finish() {}
}
