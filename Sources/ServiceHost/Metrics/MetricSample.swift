public import Schema
public import Telemetry

/// The value of one series at one moment.
public struct MetricSample: Sendable, Hashable {
  /// What a value means.
  public enum Kind: Sendable, Hashable {
    /// Only rises, from zero at the start of the process.
    case counter
    /// Rises and falls.
    case gauge
  }

  /// The name.
  public let name: MetricName
  /// The particulars.
  public let labels: MetricLabels
  /// What the value means.
  public let kind: Kind
  /// The value.
  public let value: Double

  /// The particulars in the order in which they are written: by name.
  var sortedLabels: [(name: String, value: String)] {
    labels.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
  }

  /// The sample as messages carry it.
  public var message: ChanceryV1.Metric {
    ChanceryV1.Metric(
      name: name.rawValue, labels: sortedLabels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
      kind: kind == .counter ? .counter : .gauge, value: value)
  }
}

extension [MetricSample] {
  /// By name and labels.
  mutating func order() {
    sort { left, right in
      if left.name != right.name { return left.name.rawValue < right.name.rawValue }
      return left.sortedLabels.lexicographicallyPrecedes(right.sortedLabels) { $0 < $1 }
    }
  }
}
