public import Schema
public import Telemetry
import Translation

/// The value of one series at one moment.
public struct MetricSample: Sendable, Hashable {
  /// What a value means.
  public enum Kind: String, Sendable, Hashable {
    /// Only rises, from zero at the start of the process.
    case counter
    /// Rises and falls.
    case gauge
    /// How often times of each length occurred. Only grows, from nothing at the start of the process.
    case histogram
  }

  /// The name of the metric.
  public let name: MetricName
  /// The particulars.
  public let labels: MetricLabels
  /// What the value means.
  public let kind: Kind
  /// The value of a counter or gauge; 0 for a histogram.
  public let value: Double
  /// The times of a histogram, in microseconds; nil for others.
  public let histogram: HDRHistogram?

  init(name: MetricName, labels: MetricLabels, kind: Kind, value: Double = 0, histogram: HDRHistogram? = nil) {
    self.name = name
    self.labels = labels
    self.kind = kind
    self.value = value
    self.histogram = histogram
  }

  /// The particulars in the order in which they are written: by name.
  var sortedLabels: [(name: String, value: String)] {
    labels.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
  }

  /// The sample as messages carry it.
  public var message: ChanceryV1.Metric {
    ChanceryV1.Metric(
      name: name.rawValue, labels: sortedLabels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
      kind: kind.message, value: value, histogram: histogram?.message)
  }
}

extension MetricSample.Kind {
  fileprivate var message: ChanceryV1.MetricKind {
    switch self {
    case .counter: .counter
    case .gauge: .gauge
    case .histogram: .histogram
    }
  }
}

extension [MetricSample] {
  /// By name and labels.
  mutating func order() {
    sort { left, right in
      if left.name != right.name { return left.name.rawValue < right.name.rawValue }
      return left.sortedLabels.lexicographicallyPrecedes(right.sortedLabels, by: <)
    }
  }
}
