import Schema
import Telemetry
import Translation

/// What tells one number of a service from another: its name and its labels, sorted.
struct Series: Hashable, Comparable {
  struct Label: Hashable, Comparable {
    let name: String
    let value: String

    static func < (left: Label, right: Label) -> Bool { (left.name, left.value) < (right.name, right.value) }
  }

  let name: String
  let labels: [Label]

  /// The series of a metric; nil for one that breaks a bound or has no name.
  init?(_ metric: ChanceryV1.Metric) {
    guard (1...128).contains(metric.name.utf8.count), metric.labels.count <= 16,
      metric.labels.allSatisfy({ (1...64).contains($0.name.utf8.count) && $0.value.utf8.count <= 256 })
    else { return nil }
    name = metric.name
    labels = metric.labels.map { Label(name: $0.name, value: $0.value) }.sorted()
  }

  /// Whether it is about something that passes, and makes room for others: see `MetricLabels`.
  var isPassing: Bool { labels.contains { MetricLabels.passing.contains($0.name) } }

  /// What the series takes in a message, about: its text, and what frames it and the value.
  var textBytes: Int { labels.reduce(name.utf8.count + 24) { $0 + $1.name.utf8.count + $1.value.utf8.count + 8 } }

  static func < (left: Series, right: Series) -> Bool {
    left.name == right.name ? left.labels.lexicographicallyPrecedes(right.labels) : left.name < right.name
  }
}

/// The newest value of a series.
struct SeriesValue: Equatable {
  var kind: ChanceryV1.MetricKind
  /// Of a counter or gauge.
  var value = 0.0
  /// Of a histogram, as it came: its empty buckets take no room.
  var histogram: ChanceryV1.Histogram?

  /// The largest value that is taken: no sum of such values leaves the finite numbers.
  static let maximum = 1e300

  /// The value of a metric; nil if it makes no sense.
  init?(_ metric: ChanceryV1.Metric) {
    switch metric.kind {
    case .counter, .gauge:
      guard metric.value.magnitude <= Self.maximum else { return nil }
      self.init(kind: metric.kind, value: metric.value)
    case .histogram:
      guard let histogram = metric.histogram, histogram.sum <= Self.maximum, HDRHistogram(histogram) != nil else {
        return nil
      }
      self.init(kind: .histogram, histogram: histogram)
    case .unspecified, .unrecognized: return nil
    }
  }

  init(kind: ChanceryV1.MetricKind, value: Double = 0, histogram: ChanceryV1.Histogram? = nil) {
    self.kind = kind
    self.value = value
    self.histogram = histogram
  }

  /// Whether the values of several incarnations have a sum.
  var isCumulative: Bool { kind == .counter || kind == .histogram }

  /// What a histogram takes in a message at most: two bytes for the place of a bucket and ten for its count.
  var histogramBytes: Int { histogram.map { 32 + 12 * $0.indices.count } ?? 0 }

  /// What has come since this value; nil for what does not only rise, or has fallen.
  func rise(to next: SeriesValue) -> SeriesValue? {
    guard kind == next.kind else { return nil }
    switch kind {
    case .counter: return next.value < value ? nil : SeriesValue(kind: .counter, value: next.value - value)
    case .histogram:
      guard let before = histogram.flatMap(HDRHistogram.init), let after = next.histogram.flatMap(HDRHistogram.init),
        let rise = after.subtracting(before)
      else { return nil }
      return SeriesValue(kind: .histogram, histogram: rise.message)
    default: return nil
    }
  }

  /// The sum with the value of another incarnation (`sign` 1), or without it (-1).
  func adding(_ other: SeriesValue, sign: Int) -> SeriesValue {
    guard kind == other.kind else { return self }
    guard kind == .histogram else { return SeriesValue(kind: kind, value: value + Double(sign) * other.value) }
    guard var sum = histogram.flatMap(HDRHistogram.init), let part = other.histogram.flatMap(HDRHistogram.init) else {
      return self
    }
    if sign > 0 { sum += part } else { sum = sum.subtracting(part) ?? sum }
    return SeriesValue(kind: .histogram, histogram: sum.message)
  }
}

extension [Series: SeriesValue] {
  /// What their histograms take in a message, at most.
  var histogramBytes: Int { values.reduce(0) { $0 + $1.histogramBytes } }

  /// As messages carry them, by name and labels.
  var message: [ChanceryV1.Metric] {
    sorted { $0.key < $1.key }.map { series, value in
      ChanceryV1.Metric(
        name: series.name, labels: series.labels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
        kind: value.kind, value: value.value, histogram: value.histogram)
    }
  }
}
