/// What a metric means, as the service that keeps it says.
public struct MetricDescription: Sendable, Hashable {
  /// Its name.
  public let name: MetricName
  /// What it counts or measures, for people, in a sentence without a full stop. The unit is in the name.
  public let help: String
  /// The series that are there from the start, at zero: without them the first failure could not be seen as a rise.
  public let series: [MetricLabels]

  /// Describes a gauge or a histogram, or a counter whose labels are not known beforehand.
  public init(_ name: MetricName, _ help: String) { self.init(name, help, series: []) }

  /// Describes a counter, one without labels unless its series are given.
  public static func counter(_ name: MetricName, _ help: String, series: [MetricLabels] = [[:]]) -> MetricDescription {
    MetricDescription(name, help, series: series)
  }

  private init(_ name: MetricName, _ help: String, series: [MetricLabels]) {
    self.name = name
    self.help = help
    self.series = series
  }
}
