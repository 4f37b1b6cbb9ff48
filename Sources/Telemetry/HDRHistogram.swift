/// How often values of each size occurred, to better than 1 %, in a few kilobytes however many there are.
///
/// Buckets are log-linear, as those of HdrHistogram (Gil Tene, https://hdrhistogram.org) with 128 sub-buckets: values below 128
/// have a bucket each, and every power of two above that has 64 of the same width. So a bucket is never wider than a 64th of
/// its values, and its middle is off by at most a 128th. Recording is a few shifts and an addition.
///
/// Values are integers in a unit that the user chooses; of times they are microseconds.
public struct HDRHistogram: Sendable, Hashable {
  /// A bucket that is not empty.
  public struct Bucket: Sendable, Hashable {
    /// Its place, from 0.
    public var index: Int
    /// How many values are in it; at least 1.
    public var count: UInt64

    /// A bucket.
    public init(index: Int, count: UInt64) { (self.index, self.count) = (index, count) }
  }

  /// The largest value that is told from larger ones, 2⁴³ - 1: 101 days in microseconds.
  public static let maximum: UInt64 = 1 << 43 - 1
  /// The bucket of `maximum`.
  public static let lastIndex = index(of: maximum)

  /// How many values there are.
  public private(set) var count: UInt64 = 0
  /// The sum of the values as they were before they fell into buckets.
  public private(set) var sum = 0.0
  /// From the first bucket to the last one that is not empty.
  private var counts: [UInt64] = []

  /// Nothing yet.
  public init() {}

  /// What buckets say. Nil unless their places rise and are not beyond the last, none is empty, and their counts have a sum.
  public init?(buckets: some Collection<Bucket>, sum: Double) {
    var next = 0
    for bucket in buckets {
      guard bucket.index >= next, bucket.index <= Self.lastIndex, bucket.count > 0 else { return nil }
      next = bucket.index + 1
      let (total, overflows) = count.addingReportingOverflow(bucket.count)
      if overflows { return nil }
      count = total
    }
    counts = [UInt64](repeating: 0, count: next)
    for bucket in buckets { counts[bucket.index] = bucket.count }
    self.sum = sum
  }

  /// Counts a value. One above `maximum` counts as that one.
  public mutating func record(_ value: UInt64) {
    let index = Self.index(of: min(value, Self.maximum))
    if index >= counts.count { counts += repeatElement(0, count: index + 1 - counts.count) }
    counts[index] += 1
    count += 1
    sum += Double(value)
  }

  /// Counts a time, in microseconds. A negative one counts as none.
  public mutating func record(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    record(min(UInt64(clamping: seconds), Self.maximum) * 1_000_000 + UInt64(clamping: attoseconds) / 1_000_000_000_000)
  }

  /// The buckets that are not empty, in order.
  public var buckets: [Bucket] {
    counts.indices.compactMap { counts[$0] > 0 ? Bucket(index: $0, count: counts[$0]) : nil }
  }

  /// The value that a part of all values does not exceed: 0.5 is the median, 0.99 leaves one in a hundred above it. It is the
  /// middle of a bucket. Nil if there are no values; `part` is from 0 to 1.
  public func percentile(_ part: Double) -> UInt64? {
    precondition((0...1).contains(part), "\(part) is not a part of a whole")
    guard count > 0 else { return nil }
    var left = max(1, UInt64((Double(count) * part).rounded(.up)))
    for (index, count) in counts.enumerated() {
      if count >= left { return Self.middle(of: index) }
      left -= count
    }
    // Only rounding of a count beyond 2⁵³ leads here.
    return Self.middle(of: counts.count - 1)
  }

  /// How many values are at most `value`, those in its bucket among them.
  public func count(upTo value: UInt64) -> UInt64 {
    counts.prefix(Self.index(of: min(value, Self.maximum)) + 1).reduce(0, +)
  }

  /// Adds the values of another one. Counts beyond 2⁶⁴ wrap around.
  public static func += (left: inout HDRHistogram, right: HDRHistogram) {
    left.combine(right, &+)
    left.sum += right.sum
  }

  /// Takes out the values of an earlier state of this one; returns nil if it is none, for it has values that this one lacks.
  public func subtracting(_ earlier: HDRHistogram) -> HDRHistogram? {
    guard earlier.counts.count <= counts.count, zip(earlier.counts, counts).allSatisfy({ $0 <= $1 }) else { return nil }
    var difference = self
    difference.combine(earlier, &-)
    difference.sum -= earlier.sum
    while difference.counts.last == 0 { difference.counts.removeLast() }
    return difference
  }

  private mutating func combine(_ other: HDRHistogram, _ operation: (UInt64, UInt64) -> UInt64) {
    if other.counts.count > counts.count {
      counts += repeatElement(0, count: other.counts.count - counts.count)
    }
    for (index, count) in other.counts.enumerated() { counts[index] = operation(counts[index], count) }
    count = operation(count, other.count)
  }

  // MARK: - Buckets

  private static func index(of value: UInt64) -> Int {
    guard value >= 128 else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    return 64 * (exponent - 6) + Int(value >> UInt64(exponent - 6))
  }

  private static func middle(of index: Int) -> UInt64 {
    guard index >= 128 else { return UInt64(index) }
    let shift = UInt64(index / 64 - 1)
    return UInt64(64 + index % 64) << shift + 1 << shift / 2
  }
}
