import Schema

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

  /// What the series takes in a message, about: its text, and what frames it and the value.
  var textBytes: Int { labels.reduce(name.utf8.count + 24) { $0 + $1.name.utf8.count + $1.value.utf8.count + 8 } }

  static func < (left: Series, right: Series) -> Bool {
    left.name == right.name ? left.labels.lexicographicallyPrecedes(right.labels) : left.name < right.name
  }
}

/// The newest value of a series.
struct SeriesValue {
  var kind: ChanceryV1.MetricKind
  var value: Double
}

extension [Series: SeriesValue] {
  /// As messages carry them, by name and labels.
  var message: [ChanceryV1.Metric] {
    sorted { $0.key < $1.key }.map { series, value in
      ChanceryV1.Metric(
        name: series.name, labels: series.labels.map { ChanceryV1.Label(name: $0.name, value: $0.value) },
        kind: value.kind, value: value.value)
    }
  }
}
