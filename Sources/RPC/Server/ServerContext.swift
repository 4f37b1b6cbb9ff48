/// What a handler knows about the call it serves. Cancellation reaches it as cancellation of its task.
public struct ServerContext: Sendable {
  /// The method called.
  public var method: MethodDescriptor
  /// The pairs that came with the request.
  public var metadata: Metadata
  /// When the caller stops waiting; the handler's task is cancelled then, and calls that it makes end at the latest.
  public var deadline: ContinuousClock.Instant?
  /// Who calls.
  public var peer: PeerInfo
  /// What travels with the reply beside its messages.
  public let reply: ReplyMetadata

  /// Makes a context; transports and tests do.
  public init(
    method: MethodDescriptor, metadata: Metadata = Metadata(), deadline: ContinuousClock.Instant? = nil, peer: PeerInfo,
    reply: ReplyMetadata = ReplyMetadata()
  ) {
    self.method = method
    self.metadata = metadata
    self.deadline = deadline
    self.peer = peer
    self.reply = reply
  }
}

/// The other end of a connection.
public struct PeerInfo: Sendable, Hashable {
  /// Its address as text, such as `127.0.0.1:53122` or `memory:signer-1`.
  public var address: String
  /// What its certificate says it is (a URI SAN such as `spiffe://chancery/signer`); `nil` without mutual TLS.
  public var identity: String?

  /// Makes a description of a peer.
  public init(address: String, identity: String? = nil) {
    self.address = address
    self.identity = identity
  }
}
