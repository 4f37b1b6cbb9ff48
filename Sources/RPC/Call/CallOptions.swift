/// What a caller may set for one call.
public struct CallOptions: Sendable {
  /// How long the whole call may take, counted from the moment it is made and including the wait for a connection; `nil`
  /// is no limit. It travels with the call and both sides enforce it: the caller sees `DEADLINE_EXCEEDED`, the handler's
  /// task is cancelled. A call whose timeout is zero or negative fails without being sent.
  public var timeout: Duration?
  /// Pairs that travel with the request.
  public var metadata: Metadata
  /// Whether to wait for a connection (until the timeout) rather than fail with `UNAVAILABLE` while there is none.
  public var waitForReady: Bool
  /// Where to put the metadata that comes with the reply; `nil` if it does not matter.
  public var received: ReplyMetadata?

  /// Options with the given values.
  public init(
    timeout: Duration? = nil, metadata: Metadata = Metadata(), waitForReady: Bool = false,
    received: ReplyMetadata? = nil
  ) {
    self.timeout = timeout
    self.metadata = metadata
    self.waitForReady = waitForReady
    self.received = received
  }
}
