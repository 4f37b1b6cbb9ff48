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

  /// The sample as messages carry it.
  public var message: ChanceryV1.Metric {
    ChanceryV1.Metric(
      name: name.rawValue, labels: sortedLabels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
      kind: kind == .gauge ? .gauge : .counter, value: value)
  }
}

extension [MetricSample] {
  /// By name and labels; the buckets of a histogram by their bounds.
  mutating func order() {
    sort { left, right in
      if left.family != right.family { return left.family.rawValue < right.family.rawValue }
      if left.suffix != right.suffix { return left.suffix < right.suffix }
      return left.sortedLabels.lexicographicallyPrecedes(right.sortedLabels) { left, right in
        guard left.name == "le", right.name == "le", left.value != right.value else { return left < right }
        return (Double(left.value) ?? .infinity) < (Double(right.value) ?? .infinity)
      }
    }
  }
}
