/// Makes connections to one address.
public protocol ClientConnector: Sendable {
  /// The address as text, for messages.
  var target: String { get }
  /// Connects. Throws `UNAVAILABLE` saying why it cannot; ends early, with `CANCELLED`, when the task is cancelled.
  func connect() async throws(RPCError) -> ClientConnection
}
