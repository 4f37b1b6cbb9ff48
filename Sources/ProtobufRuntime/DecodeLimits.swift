/// Bounds on what a message from an untrusted peer may make the decoder do.
///
/// All are checked before libprotobuf-c sees the bytes, except ``maximumArenaBytes``, which stops it on the way.
public struct DecodeLimits: Sendable, Hashable {
  /// The limits used when none are given.
  public static let `default` = DecodeLimits()

  /// The deepest nesting that ``maximumDepth`` may allow and that encoding accepts.
  ///
  /// It is what other protobuf implementations accept by default.
  public static let deepestNesting = 100

  /// The largest message, in bytes of wire format. Default 4 MiB, the largest payload of an RPC frame.
  public var maximumBytes: Int

  /// How deep messages may be nested; the outermost message counts as 1. Default 32.
  ///
  /// libprotobuf-c recurses once per level without a bound of its own and uses about 1 KiB of stack each time, and so
  /// does the conversion to Swift. 32 levels fit well into the stack of any thread, even one that is already deep in
  /// other calls, and are many times what a hand-written schema nests.
  public var maximumDepth: Int

  /// The most elements in all repeated fields of the message and of the messages in it, together. Default 1,000,000.
  ///
  /// An element may take as little as one byte on the wire and many times as much in memory.
  public var maximumRepeatedCount: Int

  /// The most memory that the unpacked C structs may take, in bytes. Default 128 MiB.
  ///
  /// libprotobuf-c keeps up to 64 bytes for each field while it scans a message. A message that stays within the other
  /// limits exceeds this one only if it holds little but tiny fields or empty nested messages.
  public var maximumArenaBytes: Int

  /// Makes limits.
  ///
  /// - Precondition: all are positive, ``maximumDepth`` is at most ``deepestNesting`` and ``maximumBytes`` at most
  ///   2 GiB, the bound of the wire format.
  public init(
    maximumBytes: Int = 4 << 20, maximumDepth: Int = 32, maximumRepeatedCount: Int = 1_000_000,
    maximumArenaBytes: Int = 128 << 20
  ) {
    precondition((1...Int(Int32.max)).contains(maximumBytes), "maximumBytes must be from 1 to 2^31 - 1")
    precondition((1...Self.deepestNesting).contains(maximumDepth), "maximumDepth must be from 1 to 100")
    precondition(maximumRepeatedCount > 0 && maximumArenaBytes > 0, "limits must be positive")
    self.maximumBytes = maximumBytes
    self.maximumDepth = maximumDepth
    self.maximumRepeatedCount = maximumRepeatedCount
    self.maximumArenaBytes = maximumArenaBytes
  }
}
