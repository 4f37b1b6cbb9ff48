/// A point of wall-clock time, in microseconds since the Unix epoch, as Postgres's `timestamptz` resolves it. For people
/// and records only: nothing is decided by comparing wall-clock times of two machines.
public struct Timestamp: RawRepresentable, Hashable, Sendable, Comparable {
  /// Microseconds since 1970-01-01T00:00:00Z.
  public let rawValue: Int64

  /// Wraps microseconds.
  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// The order of time.
  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.rawValue < right.rawValue }

  /// This time moved by `duration`.
  public func advanced(by duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    return Timestamp(rawValue: rawValue + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
  }
}
