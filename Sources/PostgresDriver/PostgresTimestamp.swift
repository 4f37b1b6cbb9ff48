/// A point in time as PostgreSQL's `timestamptz` keeps it: microseconds, or one of the two infinities.
public struct PostgresTimestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Microseconds since 2000-01-01 00:00 UTC; the extreme values are the infinities. This is the binary form of the type.
  public let microsecondsSince2000: Int64

  /// From 1970-01-01 to 2000-01-01, both 00:00 UTC.
  private static let epochOffset: Int64 = 946_684_800_000_000

  /// A point in time by PostgreSQL's own count.
  public init(microsecondsSince2000: Int64) { self.microsecondsSince2000 = microsecondsSince2000 }

  /// A point in time by the count of Unix: microseconds since 1970-01-01 00:00 UTC.
  ///
  /// What lies before the range of `Int64` becomes ``negativeInfinity``. PostgreSQL itself accepts the years 4713 BC to
  /// 294276 AD and refuses others when they are stored.
  public init(unixMicroseconds: Int64) {
    let (value, overflow) = unixMicroseconds.subtractingReportingOverflow(Self.epochOffset)
    microsecondsSince2000 = overflow ? .min : value
  }

  /// Later than every other.
  public static let infinity = PostgresTimestamp(microsecondsSince2000: .max)
  /// Earlier than every other.
  public static let negativeInfinity = PostgresTimestamp(microsecondsSince2000: .min)

  /// Microseconds since 1970-01-01 00:00 UTC, or nil for an infinity and what does not fit.
  public var unixMicroseconds: Int64? {
    guard self != .infinity, self != .negativeInfinity else { return nil }
    let (value, overflow) = microsecondsSince2000.addingReportingOverflow(Self.epochOffset)
    return overflow ? nil : value
  }

  /// Unix microseconds, or `infinity` and `-infinity` as PostgreSQL writes them.
  public var description: String {
    switch self {
    case .infinity: "infinity"
    case .negativeInfinity: "-infinity"
    default: "\(microsecondsSince2000) µs since 2000-01-01"
    }
  }

  /// Orders by time.
  public static func < (left: PostgresTimestamp, right: PostgresTimestamp) -> Bool {
    left.microsecondsSince2000 < right.microsecondsSince2000
  }
}

/// A span of time as PostgreSQL's `interval` keeps it: months and days have no fixed length there.
public struct PostgresInterval: Hashable, Sendable {
  /// Whole months.
  public var months: Int32
  /// Whole days.
  public var days: Int32
  /// The rest.
  public var microseconds: Int64

  /// An interval by its three parts, which may differ in sign.
  public init(months: Int32 = 0, days: Int32 = 0, microseconds: Int64 = 0) {
    self.months = months
    self.days = days
    self.microseconds = microseconds
  }

  /// An interval of fixed length, cut to microseconds; nil if it is longer than 292,000 years.
  public init?(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    let (total, overflowsToo) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    guard !overflow, !overflowsToo else { return nil }
    self.init(microseconds: total)
  }

  /// The length, a day being 24 hours; nil if there are months, whose length varies.
  public var duration: Duration? {
    months == 0 ? .seconds(Int64(days) * 86_400) + .microseconds(microseconds) : nil
  }
}
