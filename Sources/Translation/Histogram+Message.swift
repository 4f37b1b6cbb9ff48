public import Schema
public import Telemetry

extension HDRHistogram {
  /// The histogram that a message carries; nil if it contradicts itself, or its sum is not a number of values.
  public init?(_ message: ChanceryV1.Histogram) {
    guard message.indices.count == message.counts.count, message.sum >= 0, message.sum.isFinite else { return nil }
    let buckets = zip(message.indices, message.counts).map { Bucket(index: Int($0), count: $1) }
    self.init(buckets: buckets, sum: message.sum)
    guard count == message.count else { return nil }
  }

  /// The histogram as messages carry it.
  public var message: ChanceryV1.Histogram {
    let buckets = buckets
    return ChanceryV1.Histogram(
      indices: buckets.map { UInt32($0.index) }, counts: buckets.map(\.count), count: count, sum: sum)
  }
}
