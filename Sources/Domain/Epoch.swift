/// Fences the leases of one key: each grant takes a higher epoch, and work done under a lower one is refused.
public struct Epoch: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The number as Postgres mints it, at least 0.
  public let rawValue: Int64

  /// Wraps a number that Postgres minted.
  public init(rawValue: Int64) {
    self.rawValue = rawValue
  }

  /// The number in decimal.
  public var description: String { String(rawValue) }

  /// A lower epoch is an older lease.
  public static func < (left: Epoch, right: Epoch) -> Bool { left.rawValue < right.rawValue }
}
