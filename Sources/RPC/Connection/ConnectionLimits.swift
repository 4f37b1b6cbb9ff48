/// The bounds of one connection, and what it is to see to by itself. Both ends enforce their own.
public struct ConnectionLimits: Sendable, Hashable {
  /// The largest payload of a frame that is sent or accepted, in bytes; ttrpc's own limit of 4 MiB is the default.
  public var maximumFramePayload = 4 * 1024 * 1024
  /// The largest message, in bytes. Above `maximumFramePayload` it reaches only peers that put fragments together.
  public var maximumMessageBytes = 4 * 1024 * 1024
  /// The largest metadata of a request or reply, as `Metadata.byteCount` counts.
  public var maximumMetadataBytes = 16 * 1024
  /// How far a peer may be ahead of the consumer of a stream, in bytes.
  public var streamWindow = 1024 * 1024
  /// How far a peer may be ahead of the transport on all streams, in bytes.
  public var connectionWindow = 4 * 1024 * 1024
  /// The most calls that a server runs at a time for one connection. Handlers whose caller has given up, and that have not
  /// returned yet, may be as many again. Clients that know the limit hold further calls back; those of others are answered
  /// `RESOURCE_EXHAUSTED`.
  public var maximumConcurrentCalls = 1024
  /// How long a consumer that is too far behind may keep its connection from reading, where the peer counts no credit; then
  /// its call alone is failed with `RESOURCE_EXHAUSTED`.
  public var stallTimeout: Duration = .seconds(30)
  /// How long a frame may take from its first byte to its last, while it can be read; then the connection is closed. A peer that
  /// sends a byte now and then must not hold what others need.
  public var frameTimeout: Duration = .seconds(60)
  /// Whether to offer the extensions of ttrpc (docs/protocol.md), or speak plain ttrpc only.
  public var offersExtensions = true
  /// How long a client waits for the answer to its offer before it takes the peer for a plain one.
  public var offerTimeout: Duration = .seconds(1)
  /// Pings of this end; nil for none.
  public var keepalive: Keepalive?
  /// How far apart a server wants the pings of a client. One that pings oftener is told to go away.
  public var minimumPingInterval: Duration = .seconds(10)
  /// How long a server keeps a connection before it asks the client to make another, give or take a tenth; nil for ever.
  public var maximumAge: Duration?
  /// How long a server keeps a connection without calls; nil for ever.
  public var maximumIdle: Duration?
  /// The id after which a client's connection takes no more calls; lower in tests alone.
  var lastStreamID = StreamID.last

  /// The defaults.
  public init() {}
}

/// Finds out that a peer is gone which has not said so.
public struct Keepalive: Sendable, Hashable {
  /// After how long without a word from the peer it is pinged; not oftener than the peer allows.
  public var interval: Duration
  /// How long the answer may take; then the connection is closed.
  public var timeout: Duration
  /// Whether to ping while no call runs.
  public var withoutCalls: Bool

  /// Pings with these times.
  public init(interval: Duration, timeout: Duration = .seconds(20), withoutCalls: Bool = false) {
    self.interval = interval
    self.timeout = timeout
    self.withoutCalls = withoutCalls
  }
}
