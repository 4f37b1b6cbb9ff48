public import Schema
public import Telemetry

/// The value of one series at one moment.
public struct MetricSample: Sendable, Hashable {
  /// What a value means.
  public enum Kind: String, Sendable, Hashable {
    /// Only rises, from zero at the start of the process.
    case counter
    /// Rises and falls.
    case gauge
    /// A part of a distribution: how many values are at most `le`, how many there are, or their sum. Only rises.
    case histogram
  }

  /// The name of the metric.
  public let family: MetricName
  /// Which part of a histogram it is: `_bucket`, `_count` or `_sum`; empty for others.
  public let suffix: String
  /// The particulars.
  public let labels: MetricLabels
  /// What the value means.
  public let kind: Kind
  /// The value.
  public let value: Double

  init(family: MetricName, suffix: String = "", labels: MetricLabels, kind: Kind, value: Double) {
    self.family = family
    self.suffix = suffix
    self.labels = labels
    self.kind = kind
    self.value = value
  }

  /// The name of the series.
  public var name: MetricName { suffix.isEmpty ? family : MetricName(rawValue: family.rawValue + suffix) }

  /// The particulars in the order in which they are written: by name.
  var sortedLabels: [(name: String, value: String)] {
    labels.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
  }

  /// The upper end of a bucket.
  fileprivate var bound: Double { labels["le"].flatMap(Double.init) ?? .infinity }

  /// The sample as messages carry it.
  public var message: ChanceryV1.Metric {
    ChanceryV1.Metric(
      name: name.rawValue, labels: sortedLabels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
      kind: kind == .gauge ? .gauge : .counter, value: value)
  }
}

extension [MetricSample] {
  /// By name and labels; a histogram is in one piece, its buckets first, by their bounds.
  mutating func order() {
    let labelled = map { sample in (sample: sample, labels: sample.sortedLabels.filter { $0.name != "le" }) }
    self = labelled.sorted { left, right in
      let (one, other) = (left.sample, right.sample)
      if one.family != other.family { return one.family.rawValue < other.family.rawValue }
      if left.labels.lexicographicallyPrecedes(right.labels, by: <) { return true }
      if right.labels.lexicographicallyPrecedes(left.labels, by: <) { return false }
      return one.suffix != other.suffix ? one.suffix < other.suffix : one.bound < other.bound
    }.map(\.sample)
  }
}
