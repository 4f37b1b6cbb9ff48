import DequeModule
import Domain
import RPC
import Schema

/// What all services have told of their numbers: the newest value of every series of every incarnation, and for each
/// service the sum of the incarnations that are over. A value: the shell around it brings time and reports.
///
/// Counters start at zero with an incarnation and reports are cumulative, so the sum of a counter over all incarnations
/// and totals is the truth, however often a service restarts. An incarnation is folded into the total of its service
/// when it says goodbye, when another one of the same name takes the place of a silent one, when it has been silent for
/// too long, and when there is no room. One that comes back after that is taken out of the total again.
struct MetricsBook: Sendable {
  /// A stream of reports.
  struct Stream: Sendable {
    let incarnation: IncarnationID
    let token: UInt64
  }

  /// How many metrics of a report were not taken.
  struct Dropped: Sendable, Equatable {
    /// Malformed: no name, unknown kind, not a number within reason, too long.
    var malformed = 0
    /// Above a bound.
    var excess = 0
  }

  /// How long the refusal of an incarnation makes snapshots incomplete: longer than a reporter pauses before it tries
  /// again.
  static let refusalMemory = Duration.seconds(30)

  let limits: LoggerOptions.MetricLimits
  private(set) var incarnations: [IncarnationID: Incarnation] = [:]
  private var totals: [String: FoldedTotal] = [:]
  private var recollection: Deque<Incarnation> = []
  private var textBytes = 0
  private var histogramBytes = 0
  private var nextToken: UInt64 = 0
  private var lastRefusal: ContinuousClock.Instant?
  private var windows: MetricsWindows

  init(limits: LoggerOptions.MetricLimits, now: ContinuousClock.Instant) {
    self.limits = limits
    windows = MetricsWindows(limits: limits, now: now)
  }

  /// A stream begins. Throws `INVALID_ARGUMENT` for an instance that is not one, `RESOURCE_EXHAUSTED` if there is no
  /// room.
  mutating func open(
    _ instance: ChanceryV1.ServiceInstance?, now: ContinuousClock.Instant
  ) throws(RPCError) -> Stream {
    let newcomer = try Incarnation(instance, now: now)
    let id = newcomer.id
    if incarnations[id] == nil {
      try admit(newcomer, now: now)
      incarnations[id] = newcomer
    }
    nextToken += 1
    incarnations[id]!.stream = nextToken
    incarnations[id]!.heard = now
    return Stream(incarnation: id, token: nextToken)
  }

  /// A report came. One on a stream that a newer one has replaced counts for nothing: the newer began with everything.
  mutating func record(
    _ report: ChanceryV1.TelemetryReport, from stream: Stream, now: ContinuousClock.Instant
  ) -> Dropped {
    var dropped = Dropped()
    passTime(to: now)
    // Taken out while it changes, so that its dictionaries are not copied.
    guard var incarnation = incarnations.removeValue(forKey: stream.incarnation) else { return dropped }
    defer { incarnations[stream.incarnation] = incarnation }
    guard incarnation.stream == stream.token else { return dropped }
    incarnation.heard = now
    incarnation.reports += 1
    windows.hear(incarnation.instance)
    defer { incarnation.hasReported = true }
    incarnation.eventsDropped = max(incarnation.eventsDropped, report.eventsDropped)
    for metric in report.metrics {
      guard let series = Series(metric), let told = SeriesValue(metric) else {
        dropped.malformed += 1
        continue
      }
      if !take(told, of: series, into: &incarnation) {
        dropped.excess += 1
        incarnation.lacksSeries = true
      }
    }
    return dropped
  }

  /// Takes the newest value of a series; returns whether there is room for it.
  private mutating func take(_ told: SeriesValue, of series: Series, into incarnation: inout Incarnation) -> Bool {
    let known = incarnation.series[series]
    if known == nil, series.isPassing { makeRoom(for: series, in: &incarnation) }
    guard known != nil || hasRoom(for: series, in: incarnation) else { return false }
    // Within an incarnation a counter never falls, and a histogram never shrinks.
    var rise = known.map { $0.rise(to: told) } ?? (incarnation.hasReported && told.isCumulative ? told : nil)
    var hasFallen = known?.kind == told.kind && told.isCumulative && rise == nil
    // Its reporter had made room for others meanwhile, and has begun anew.
    if hasFallen, series.isPassing { (rise, hasFallen) = (told, false) }
    let value = hasFallen ? known! : told
    let growth = value.histogramBytes - (known?.histogramBytes ?? 0)
    guard growth <= 0 || histogramBytes + growth <= limits.histogramBytes else { return false }
    incarnation.series[series] = value
    histogramBytes += growth
    if series.isPassing { incarnation.lastTold[series] = incarnation.reports }
    if let rise { windows.add(rise, to: series, of: incarnation.instance) }
    if known == nil {
      incarnation.labelSets[series.name, default: 0] += 1
      textBytes += series.textBytes
    }
    return true
  }

  /// A stream is over.
  mutating func close(_ stream: Stream, saidGoodbye: Bool) {
    guard incarnations[stream.incarnation]?.stream == stream.token else { return }
    incarnations[stream.incarnation]!.stream = nil
    if saidGoodbye {
      incarnations[stream.incarnation]!.hasEnded = true
      fold(stream.incarnation)
    }
  }

  /// Folds what has been silent for too long.
  mutating func sweep(now: ContinuousClock.Instant) {
    for incarnation in silent where incarnation.heard.duration(to: now) >= limits.silentRetention {
      fold(incarnation.id)
    }
  }

  /// The last seconds of a metric. Nothing is known of the second that is under way.
  mutating func range(_ request: ChanceryV1.MetricsRangeRequest, now: ContinuousClock.Instant, at: Timestamp)
    -> ChanceryV1.MetricsRange
  {
    passTime(to: now)
    return windows.range(request, now: now, at: at)
  }

  /// Ends the second that was under way, if another one has begun.
  private mutating func passTime(to now: ContinuousClock.Instant) {
    guard windows.isOver(at: now) else { return }
    for incarnation in incarnations.values where windows.hasHeard(incarnation.instance) {
      for (series, value) in incarnation.series where value.kind == .gauge {
        windows.add(value, to: series, of: incarnation.instance)
      }
    }
    windows.begin(at: now)
  }

  /// All of it as a message.
  func snapshot(now: ContinuousClock.Instant, at: Timestamp) -> ChanceryV1.MetricsSnapshot {
    let folded = totals.map { service, total in total.message(of: service, now: now) }
    let single = incarnations.values.map { $0.message(now: now) }
    let services = (folded + single).sorted { left, right in Self.order(left.instance!) < Self.order(right.instance!) }
    return ChanceryV1.MetricsSnapshot(atUs: at.rawValue, services: services, incomplete: isIncomplete(now: now))
  }

  private static func order(_ instance: ChanceryV1.ServiceInstance) -> (String, String, String) {
    (instance.service, instance.name, instance.incarnation)
  }

  private func isIncomplete(now: ContinuousClock.Instant) -> Bool {
    totals.values.contains { $0.lossyIncarnations > 0 }
      || incarnations.values.contains {
        $0.stream == nil || $0.lacksSeries || $0.heard.duration(to: now) > limits.staleAfter
      } || lastRefusal.map { $0.duration(to: now) < Self.refusalMemory } ?? false
  }
}

// MARK: - Room

extension MetricsBook {
  /// The incarnations whose stream is gone, the longest silent first.
  private var silent: [Incarnation] {
    incarnations.values.filter { $0.stream == nil }.sorted { ($0.heard, $0.id) < ($1.heard, $1.id) }
  }

  private mutating func admit(_ newcomer: Incarnation, now: ContinuousClock.Instant) throws(RPCError) {
    for previous in silent
    where previous.id.service == newcomer.id.service && previous.instance.name == newcomer.instance.name {
      fold(previous.id)
    }
    let services = Set(totals.keys).union(incarnations.keys.map(\.service))
    guard services.contains(newcomer.id.service) || services.count < limits.services else {
      lastRefusal = now
      throw RPCError(.resourceExhausted, "\(limits.services) kinds of services report already, which is the limit")
    }
    if incarnations.count >= limits.incarnations {
      guard let oldest = silent.first else {
        lastRefusal = now
        throw RPCError(.resourceExhausted, "\(limits.incarnations) services report already, which is the limit")
      }
      fold(oldest.id)
    }
    if let index = recollection.firstIndex(where: { $0.id == newcomer.id }) {
      // It was not over after all; its first report tells everything anew.
      let before = totals[newcomer.id.service]!.series.histogramBytes
      totals[newcomer.id.service]!.fold(recollection.remove(at: index), sign: -1)
      histogramBytes += totals[newcomer.id.service]!.series.histogramBytes - before
    }
  }

  private func hasRoom(for series: Series, in incarnation: Incarnation) -> Bool {
    incarnation.series.count < limits.series && incarnation.labelSets[series.name, default: 0] < limits.labelSets
      && textBytes + series.textBytes <= limits.textBytes
  }

  /// Forgets the series of the same name of which nothing was told for longest, if there are as many as may be.
  private mutating func makeRoom(for series: Series, in incarnation: inout Incarnation) {
    guard incarnation.labelSets[series.name, default: 0] >= limits.labelSets,
      let oldest = incarnation.lastTold.filter({ $0.key.name == series.name })
        .min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key
    else { return }
    histogramBytes -= incarnation.series.removeValue(forKey: oldest)?.histogramBytes ?? 0
    incarnation.lastTold[oldest] = nil
    incarnation.labelSets[series.name]! -= 1
    textBytes -= oldest.textBytes
  }

  private mutating func fold(_ id: IncarnationID) {
    let incarnation = incarnations.removeValue(forKey: id)!
    var total = totals.removeValue(forKey: id.service) ?? FoldedTotal(heard: incarnation.heard)
    textBytes -= incarnation.series.keys.reduce(0) { $0 + $1.textBytes }
    for (series, value) in incarnation.series where value.isCumulative && total.series[series] == nil {
      textBytes += series.textBytes
    }
    histogramBytes -= incarnation.series.histogramBytes + total.series.histogramBytes
    total.fold(incarnation, sign: 1)
    histogramBytes += total.series.histogramBytes
    totals[id.service] = total
    recollection.append(incarnation)
    if recollection.count > limits.recollection { recollection.removeFirst() }
  }
}
