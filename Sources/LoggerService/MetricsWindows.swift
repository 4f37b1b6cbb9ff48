import DequeModule
import Domain
import RPC
import Schema
import Telemetry
import TimeAndChance
import Translation

/// What came in each of the last seconds: by how much counters rose, what gauges said last, which times came. A value: the
/// book around it brings what is reported, and time.
///
/// A second keeps only what changed in it, in a few bytes each. There are no more than the span has, and no more than there is
/// room for: the oldest make room.
struct MetricsWindows: Sendable {
  /// How far back they go, in seconds.
  static let span: Int64 = 900
  /// The most points that are told at a time, so that they fit into one message of 4 MiB.
  static let points = 50_000

  /// A series of an instance; all its incarnations together.
  private struct Name: Hashable {
    var service: String
    var instance: String
    /// Nil for whether the instance was heard at all.
    var series: Series?

    init(_ series: Series?, of instance: ChanceryV1.ServiceInstance) {
      (service, self.instance, self.series) = (instance.service, instance.name, series)
    }

    func value(ofLabel name: String) -> String? {
      switch name {
      case "service": service
      case "instance": instance
      default: series?.labels.first { $0.name == name }?.value
      }
    }
  }

  private struct Known {
    var name: Name
    var kind: ChanceryV1.MetricKind
    /// The last second in which something came.
    var last: Int64
  }

  /// A second that is under way.
  private struct Open {
    var numbers: [Int: Double] = [:]
    var histograms: [Int: HDRHistogram] = [:]
  }

  /// A second that is over. The places are those of `known`.
  private struct Second {
    let index: Int64
    var numbers: [(place: Int32, value: Double)]
    var histograms: [(place: Int32, histogram: ChanceryV1.Histogram)]

    /// What it takes, about.
    var bytes: Int { histograms.reduce(64 + 16 * numbers.count) { $0 + 128 + 12 * $1.histogram.indices.count } }
  }

  private let limits: LoggerOptions.MetricLimits
  private let origin: ContinuousClock.Instant
  /// The second that is under way, counted from the origin.
  private var index: Int64 = 0
  private var open = Open()
  private var seconds: Deque<Second> = []
  private var bytes = 0
  /// Nil where a place is free.
  private var known: [Known?] = []
  private var places: [Name: Int] = [:]
  private var free: [Int] = []
  /// The newest second of which something is missing for want of room.
  private var lastLoss = Int64.min

  init(limits: LoggerOptions.MetricLimits, now: ContinuousClock.Instant) {
    self.limits = limits
    origin = now
  }

  private func index(at now: ContinuousClock.Instant) -> Int64 { origin.duration(to: now).components.seconds }

  // MARK: - Taking in

  /// Whether the second under way is over.
  func isOver(at now: ContinuousClock.Instant) -> Bool { index(at: now) > index }

  /// Whether an instance has reported in the second under way.
  func hasHeard(_ instance: ChanceryV1.ServiceInstance) -> Bool {
    places[Name(nil, of: instance)].map { open.numbers[$0] != nil } ?? false
  }

  /// An instance has reported.
  mutating func hear(_ instance: ChanceryV1.ServiceInstance) {
    if let place = place(of: Name(nil, of: instance), .gauge) { open.numbers[place] = 1 }
  }

  /// Adds the rise of a counter, the value of a gauge, or the times that came. The gauges of several incarnations of an
  /// instance, of which only one should live, are added up too.
  mutating func add(_ value: SeriesValue, to series: Series, of instance: ChanceryV1.ServiceInstance) {
    guard let place = place(of: Name(series, of: instance), value.kind) else { return }
    if let times = value.histogram.flatMap(HDRHistogram.init) {
      if times.count > 0 { open.histograms[place, default: HDRHistogram()] += times }
    } else {
      open.numbers[place, default: 0] += value.value
    }
  }

  /// Ends the second that was under way; the one of `now` begins.
  mutating func begin(at now: ContinuousClock.Instant) {
    let second = Second(
      index: index, numbers: open.numbers.map { (Int32($0), $1) },
      histograms: open.histograms.map { (Int32($0), $1.message) })
    open = Open()
    index = index(at: now)
    seconds.append(second)
    bytes += second.bytes
    while let oldest = seconds.first, oldest.index < index - Self.span || bytes > limits.windowBytes {
      if oldest.index >= index - Self.span { lastLoss = max(lastLoss, oldest.index) }
      bytes -= oldest.bytes
      seconds.removeFirst()
    }
  }

  /// The place of a series; nil if there is no room for it.
  private mutating func place(of name: Name, _ kind: ChanceryV1.MetricKind) -> Int? {
    if let place = places[name] {
      // What a name means now is not added to what it meant before.
      guard known[place]!.kind == kind else { return nil }
      known[place]!.last = index
      return place
    }
    if places.count >= limits.windowSeries { forget() }
    guard places.count < limits.windowSeries else {
      lastLoss = index
      return nil
    }
    let place = free.popLast() ?? known.count
    if place == known.count { known.append(nil) }
    known[place] = Known(name: name, kind: kind, last: index)
    places[name] = place
    return place
  }

  /// Makes room: series of which no second is left are forgotten.
  private mutating func forget() {
    let oldest = seconds.first?.index ?? index
    for (place, series) in known.enumerated() {
      guard let series, series.last < oldest else { continue }
      places[series.name] = nil
      known[place] = nil
      free.append(place)
    }
  }
}

// MARK: - Telling

extension MetricsWindows {
  /// What a group of series is told by.
  private struct Group: Hashable {
    var values: [String]
    var kind: ChanceryV1.MetricKind
  }

  /// The seconds before the one under way that the request asks for.
  func range(
    _ request: ChanceryV1.MetricsRangeRequest, now: ContinuousClock.Instant, at: Timestamp
  ) -> ChanceryV1.MetricsRange {
    let first = index - Int64(request.durationS)
    let count = Int(request.durationS)
    let members = members(request)
    let groups = Array(
      members.keys.sorted { $0.values.lexicographicallyPrecedes($1.values) }.prefix(Self.points / count))
    // Which group each place belongs to, as itself or as what says that its instance was heard.
    var groupOfSeries: [Int32: Int] = [:]
    var groupsOfInstance: [Int32: [Int]] = [:]
    for (number, group) in groups.enumerated() {
      for place in members[group]! {
        groupOfSeries[Int32(place)] = number
        var name = known[place]!.name
        name.series = nil
        if let heard = places[name] { groupsOfInstance[Int32(heard), default: []].append(number) }
      }
    }
    var points = [[ChanceryV1.RangePoint]](
      repeating: Array(repeating: ChanceryV1.RangePoint(), count: count), count: groups.count)
    let scale = request.name.hasSuffix("_seconds") ? 1e-6 : 1
    for second in seconds where second.index >= first && second.index < index {
      let place = Int(second.index - first)
      for (series, value) in second.numbers {
        if let group = groupOfSeries[series] { points[group][place].value += value }
        for group in groupsOfInstance[series] ?? [] { points[group][place].known = true }
      }
      var sums: [Int: HDRHistogram] = [:]
      for (series, histogram) in second.histograms {
        guard let group = groupOfSeries[series], let times = HDRHistogram(histogram) else { continue }
        sums[group, default: HDRHistogram()] += times
      }
      for (group, times) in sums {
        points[group][place].count = times.count
        points[group][place].p50 = Double(times.percentile(0.5) ?? 0) * scale
        points[group][place].p99 = Double(times.percentile(0.99) ?? 0) * scale
      }
    }
    let start = origin.advanced(by: .seconds(first))
    return ChanceryV1.MetricsRange(
      startUs: at.advanced(by: now.duration(to: start)).rawValue, stepMs: 1000,
      series: zip(groups, points).map { group, points in
        ChanceryV1.RangeSeries(
          labels: zip(request.by, group.values).map { ChanceryV1.Label(name: $0, value: $1) }, kind: group.kind,
          points: points)
      }, incomplete: groups.count < members.count || lastLoss >= first)
  }

  /// The places of the series that are meant, by group.
  private func members(_ request: ChanceryV1.MetricsRangeRequest) -> [Group: [Int]] {
    var members: [Group: [Int]] = [:]
    for (place, series) in known.enumerated() {
      guard let series, series.name.series?.name == request.name,
        request.matching.allSatisfy({ series.name.value(ofLabel: $0.name) == $0.value })
      else { continue }
      let group = Group(values: request.by.map { series.name.value(ofLabel: $0) ?? "" }, kind: series.kind)
      members[group, default: []].append(place)
    }
    return members
  }
}
