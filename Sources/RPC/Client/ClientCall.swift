import Synchronization

/// A call in progress as streams of bytes, as a forwarding proxy or a typed stub uses it.
///
/// It must be ended: by reading the replies to their end, or with `cancel`. The typed functions of `RPCChannel` see to it.
public final class ClientCall: Sendable {
  let replies: MessageQueue
  private let id: StreamID
  private let connection: ClientConnection
  private let hasRefused = Atomic<Bool>(false)

  init(id: StreamID, connection: ClientConnection, replies: MessageQueue) {
    self.id = id
    self.connection = connection
    self.replies = replies
  }

  /// Sends one message; waits while the connection is behind, so that a slow reader slows its writer.
  ///
  /// Throws how the call failed if it has; `FAILED_PRECONDITION` after `finish`, and when the server has ended the call
  /// with success without reading on; `RESOURCE_EXHAUSTED` for a message above the frame limit; `CANCELLED` when the task
  /// is cancelled while it waits.
  public func send(_ message: [UInt8]) async throws(RPCError) {
    await connection.settle(forMessageOf: message.count)
    guard try await !connection.send(message, on: id) else { return }
    hasRefused.store(true, ordering: .relaxed)
    throw replies.failure ?? RPCError(.failedPrecondition, "the call takes no more messages: it was ended")
  }

  /// Whether a message was refused because the call had ended.
  var hasRefusedMessage: Bool { hasRefused.load(ordering: .relaxed) }

  /// Says that no more messages will be sent. May be called more than once.
  public func finish() { connection.endRequests(id) }

  /// The next reply, nil at the end of the stream; throws how the call failed, or `CANCELLED` when the task is cancelled
  /// while it waits. One task at a time may read.
  public func next() async throws(RPCError) -> ArraySlice<UInt8>? { try await replies.next() }

  /// Gives the call up if it still runs: the server is told. Replies not yet read are dropped.
  public func cancel() {
    connection.cancel(id)
    var deferred = Deferred()
    replies.fail(ClientConnection.callerCancelled, &deferred)
    deferred.perform()
  }
}

extension ClientCall: MessageSink {}
