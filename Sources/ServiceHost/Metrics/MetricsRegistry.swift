import DequeModule
public import Domain
public import Logging
import Schema
import Synchronization
public import Telemetry

/// What a process keeps of what its services tell: numbers in memory, events in a queue on their way to Logger and in
/// the log. Every call takes one short lock and returns at once.
///
/// Bounded: what is above a bound is dropped and counted in `chancery_telemetry_dropped_total`.
public final class MetricsRegistry: Observer {
  /// The bounds of a registry.
  public struct Limits: Sendable {
    /// The most names.
    public var names = 256
    /// The most label sets of one name.
    public var labelSets = 128
    /// The most events that wait to be reported.
    public var events = 1000
    /// The least serious events that are reported; the log has its own level.
    public var eventSeverity = EventSeverity.info

    /// The defaults.
    public init() {}
  }

  struct Family {
    let kind: MetricSample.Kind
    var series: [MetricLabels: Cell] = [:]
  }

  struct Cell {
    /// Of a counter or gauge.
    var value = 0.0
    /// Of a histogram.
    var histogram: HDRHistogram?
    /// The registry's revision when the value was last changed.
    var revision: UInt64 = 0
  }

  struct State {
    /// The first is not held against the bounds.
    var families = [MetricsRegistry.droppedName: Family(kind: .counter)]
    /// Rises with every look at the changes.
    var revision: UInt64 = 1
    var help: [MetricName: String] = [:]
    var events: Deque<ChanceryV1.Event> = []
    var eventsDropped: UInt64 = 0
  }

  /// Those who keep numbers themselves, which this process tells of but does not report.
  let meters = Mutex<[CallMeter]>([])

  static let droppedName: MetricName = "chancery_telemetry_dropped_total"

  let limits: Limits
  let state = Mutex(State())
  let logger: Logger
  let wallClock: @Sendable () -> Timestamp

  /// An empty registry whose events go to `logger` too.
  public init(
    logger: Logger, limits: Limits = Limits(), wallClock: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
  ) {
    self.logger = logger
    self.limits = limits
    self.wallClock = wallClock
  }

  /// See `Observer`. A negative amount is dropped.
  public func count(_ name: MetricName, _ labels: MetricLabels, by amount: Double) {
    let isAmount = amount >= 0 && amount.isFinite
    state.withLock { state in
      guard isAmount else { return state.drop("invalid") }
      state.update(name, labels, .counter, limits) { $0.value += amount }
    }
  }

  /// See `Observer`. A value that is not a finite number is dropped.
  public func gauge(_ name: MetricName, _ labels: MetricLabels, to value: Double) {
    state.withLock { state in
      guard value.isFinite else { return state.drop("invalid") }
      state.update(name, labels, .gauge, limits) { $0.value = value }
    }
  }

  /// See `Observer`.
  public func record(_ name: MetricName, _ labels: MetricLabels, times: [Duration]) {
    if times.isEmpty { return }
    state.withLock { state in
      state.update(name, labels, .histogram, limits) { cell in
        for time in times { cell.histogram!.record(time) }
      }
    }
  }

  /// Has the numbers of `meter` in the exposition too.
  public func add(_ meter: CallMeter) {
    meters.withLock { $0.append(meter) }
    describe(meter.descriptions)
  }

  /// Says for people what metrics mean, which they otherwise read as words of the name, and begins the series of counters that
  /// are there from the start.
  public func describe(_ descriptions: [MetricDescription]) {
    for description in descriptions {
      state.withLock { $0.help[description.name] = description.help }
      for labels in description.series { count(description.name, labels, by: 0) }
    }
  }

  /// All values, by name and labels.
  public func snapshot() -> [MetricSample] { changes(since: 0).samples }

  /// The values that have changed at or after a revision, by name and labels, and the revision to ask with next.
  func changes(since revision: UInt64) -> (samples: [MetricSample], next: UInt64) {
    var (samples, next) = state.withLock { state in
      state.revision += 1
      let samples = state.families.flatMap { name, family in
        family.series.filter { $0.value.revision >= revision }.map { labels, cell in
          MetricSample(
            name: name, labels: labels, kind: family.kind, value: cell.value, histogram: cell.histogram)
        }
      }
      return (samples, state.revision)
    }
    samples.order()
    return (samples, next)
  }
}

// MARK: - Series

extension MetricsRegistry.Family {
  /// Changes the value of a series; returns whether there is one of this kind.
  fileprivate mutating func update(
    _ labels: MetricLabels, _ kind: MetricSample.Kind, revision: UInt64,
    _ change: (inout MetricsRegistry.Cell) -> Void
  ) -> Bool {
    guard kind == self.kind, let index = series.index(forKey: labels) else { return false }
    change(&series.values[index])
    series.values[index].revision = revision
    return true
  }
}

extension MetricsRegistry.State {
  /// Changes the value of a series, which is made if it is new and there is room.
  fileprivate mutating func update(
    _ name: MetricName, _ labels: MetricLabels, _ kind: MetricSample.Kind, _ limits: MetricsRegistry.Limits,
    _ change: (inout MetricsRegistry.Cell) -> Void
  ) {
    if families[name]?.update(labels, kind, revision: revision, change) == true { return }
    if let family = families[name] {
      guard family.kind == kind, labels.isValid else { return drop("invalid") }
      if family.series.count >= limits.labelSets {
        guard !MetricLabels.passing.isDisjoint(with: labels.keys) else { return drop("label_sets") }
        let oldest = family.series.min { $0.value.revision < $1.value.revision }!.key
        families[name]!.series[oldest] = nil
      }
    } else {
      guard name.isValid, labels.isValid else { return drop("invalid") }
      guard families.count <= limits.names else { return drop("names") }
    }
    var cell = MetricsRegistry.Cell(histogram: kind == .histogram ? HDRHistogram() : nil, revision: revision)
    change(&cell)
    families[name, default: MetricsRegistry.Family(kind: kind)].series[labels] = cell
  }

  /// Counts events that Logger will not get.
  mutating func dropEvents(_ count: UInt64) {
    guard count > 0 else { return }
    eventsDropped += count
    drop("events", Double(count))
  }

  /// Counts what was dropped.
  fileprivate mutating func drop(_ what: String, _ count: Double = 1) {
    families[MetricsRegistry.droppedName]!.series[["what": what], default: MetricsRegistry.Cell()].value += count
    families[MetricsRegistry.droppedName]!.series[["what": what]]!.revision = revision
  }
}
