/// The bounds of one connection. Both ends enforce their own.
public struct ConnectionLimits: Sendable, Hashable {
  /// The largest payload of a frame that is sent or accepted, in bytes; ttrpc's own limit of 4 MiB is the default.
  public var maximumFramePayload = 4 * 1024 * 1024
  /// The largest metadata of a request, as `Metadata.byteCount` counts.
  public var maximumMetadataBytes = 16 * 1024
  /// The most handlers that a server runs at a time for one connection, those included whose caller has given up and that
  /// have not noticed yet; further calls are answered `RESOURCE_EXHAUSTED`.
  public var maximumConcurrentCalls = 1024
  /// How long a consumer that is too far behind may keep its connection from reading; then its call alone is failed with
  /// `RESOURCE_EXHAUSTED`.
  public var stallTimeout: Duration = .seconds(30)
  /// The id after which a client's connection takes no more calls; lower in tests alone.
  var lastStreamID = StreamID.last

  /// The defaults.
  public init() {}
}
