import Synchronization

/// A call in progress as streams of bytes, as a forwarding proxy or a typed stub uses it.
///
/// It must be ended: by reading the replies to their end, or with `cancel`. The typed functions of `RPCChannel` see to it.
public final class ClientCall: Sendable {
  let replies: MessageQueue
  private let id: StreamID
  private let connection: ClientConnection
  private let hasRefused = Atomic<Bool>(false)
  /// Those who see the call, from the connection outwards.
  private let observers: [CallObservers]
  /// Whether the first reply is the last.
  private let hasOneReply: Bool

  init(id: StreamID, connection: ClientConnection, replies: MessageQueue) {
    self.id = id
    self.connection = connection
    self.replies = replies
    observers = []
    hasOneReply = false
  }

  /// The same call, seen by more.
  init(_ call: ClientCall, of method: MethodDescriptor, seenBy observers: CallObservers) {
    id = call.id
    connection = call.connection
    replies = call.replies
    self.observers = call.observers + [observers]
    hasOneReply = !method.shape.streamsReplies
  }

  /// Sends one message; waits while the connection is behind, so that a slow reader slows its writer.
  ///
  /// Throws how the call failed if it has; `FAILED_PRECONDITION` after `finish`, and when the server has ended the call
  /// with success without reading on; `RESOURCE_EXHAUSTED` for a message above the frame limit; `CANCELLED` when the task
  /// is cancelled while it waits.
  public func send(_ message: [UInt8]) async throws(RPCError) {
    var message = message
    for observers in observers.reversed() { try observers.send(&message) }
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
  public func next() async throws(RPCError) -> ArraySlice<UInt8>? {
    if observers.isEmpty { return try await replies.next() }
    do throws(RPCError) {
      guard var message = try await replies.next() else {
        end(nil)
        return nil
      }
      for observers in observers { try observers.receive(&message) }
      if hasOneReply { end(nil) }
      return message
    } catch {
      end(error)
      throw error
    }
  }

  private func end(_ error: RPCError?) {
    for observers in observers { observers.end(error) }
  }

  /// Gives the call up if it still runs: the server is told. Replies not yet read are dropped.
  public func cancel() {
    connection.cancel(id)
    var deferred = Deferred()
    replies.fail(ClientConnection.callerCancelled, &deferred)
    deferred.perform()
    end(ClientConnection.callerCancelled)
  }
}

extension ClientCall: MessageSink, MessageSource {}
