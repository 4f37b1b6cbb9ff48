import Telemetry

/// What the dashboard knows: the newest that each feed has said, and what it has seen of the last minute.
///
/// A value without a clock: each thing that is taken in comes with its time. All of it is bounded: by what the feeds
/// send, which Logger and the callers bound, and by the limits below.
public struct DashboardModel: Sendable {
  /// Where what is shown comes from.
  public enum Feed: String, Sendable, CaseIterable {
    /// What the services count, from Logger.
    case metrics
    /// The jobs, from a coordinator.
    case jobs
    /// The keys, from a KeyKeeper.
    case keys
    /// What the services report, from Logger.
    case log
  }

  /// The most events that are kept.
  static let maximumEvents = 100
  /// The most counters that are followed by name and labels.
  static let maximumCounters = 1024

  /// Which cluster this is, for people.
  let context: String
  /// How often the metrics come.
  let interval: Duration
  /// Since when the dashboard looks.
  let started: ContinuousClock.Instant

  private(set) var services: [ServiceReading] = []
  private(set) var jobs: [JobReading] = []
  private(set) var keys: [KeyReading] = []
  /// Whether there are more keys than are shown.
  private(set) var hasMoreKeys = false
  /// What was reported last, the newest first.
  private(set) var events: [EventReading] = []
  /// Whether a service has fallen silent, so that totals may lag.
  private(set) var isIncomplete = false
  private(set) var heard: [Feed: ContinuousClock.Instant] = [:]
  private(set) var problems: [Feed: String] = [:]
  /// How often metrics came.
  private(set) var metricsTaken = 0

  private var ledger = SeriesLedger()
  private(set) var rises: [SeriesLedger.Name: History] = [:]
  private var risen: [SeriesLedger.Name: Double] = [:]
  /// The same of each signer, for what is shown of each.
  private(set) var signerRises: [String: [String: History]] = [:]
  private var signerRisen: [String: [String: Double]] = [:]
  /// The times that came in the last minute, and lately of each signer.
  private(set) var times: [SeriesLedger.Name: TimesHistory] = [:]
  private(set) var signerTimes: [String: [String: TimesHistory]] = [:]
  private(set) var jobHistories: [String: History] = [:]
  /// When the dashboard saw each key being leased last.
  private(set) var keysUsed: [Int64: ContinuousClock.Instant] = [:]

  /// Nothing is known yet. `context` names the cluster, `interval` is how often metrics are to come.
  public init(context: String, interval: Duration, now: ContinuousClock.Instant) {
    (self.context, self.interval, started) = (context, interval, now)
  }

  /// A feed cannot be had now, and why.
  public mutating func fail(_ feed: Feed, _ reason: String) { problems[feed] = reason }

  /// What all services have told.
  public mutating func take(services: [ServiceReading], isIncomplete: Bool, at now: ContinuousClock.Instant) {
    heard(.metrics, at: now)
    metricsTaken += 1
    self.services = services
    self.isIncomplete = isIncomplete
    for (incarnation, increases) in ledger.take(services, at: now) {
      for (name, increase) in increases.counters {
        risen[name, default: 0] += increase
        if MetricNames.ofSigners.contains(name.name) {
          signerRisen[incarnation, default: [:]][name.name, default: 0] += increase
        }
      }
      for (name, increase) in increases.times {
        if times[name] == nil, times.count < Self.maximumCounters { times[name] = TimesHistory(span: History.span) }
        times[name]?.append(increase, at: now)
        if MetricNames.timesOfSigners.contains(name.name) {
          signerTimes[incarnation, default: [:]][name.name, default: TimesHistory(span: Self.window)]
            .append(increase, at: now)
        }
      }
    }
    follow(services, at: now)
  }

  /// The newest jobs, the newest first.
  public mutating func take(jobs: [JobReading], at now: ContinuousClock.Instant) {
    heard(.jobs, at: now)
    self.jobs = jobs
    let open = Set(jobs.filter(\.isOpen).map(\.id))
    jobHistories = jobHistories.filter { open.contains($0.key) }
    for job in jobs where job.isOpen { jobHistories[job.id, default: History()].append(job.ended, at: now) }
  }

  /// The keys.
  public mutating func take(keys: [KeyReading], hasMore: Bool, at now: ContinuousClock.Instant) {
    heard(.keys, at: now)
    let before = Dictionary(self.keys.map { ($0.id, $0.uses) }) { first, _ in first }
    for key in keys where !key.holder.isEmpty || before[key.id].map({ $0 < key.uses }) ?? false {
      keysUsed[key.id] = now
    }
    let ids = Set(keys.map(\.id))
    keysUsed = keysUsed.filter { ids.contains($0.key) }
    self.keys = keys
    hasMoreKeys = hasMore
  }

  /// Events that were reported, the oldest first. With `isFresh` they are the last ones, whatever was known before.
  public mutating func take(events: [EventReading], isFresh: Bool, at now: ContinuousClock.Instant) {
    heard(.log, at: now)
    if isFresh { self.events = [] }
    self.events = Array((events.reversed() + self.events).prefix(Self.maximumEvents))
  }

  private mutating func heard(_ feed: Feed, at now: ContinuousClock.Instant) {
    heard[feed] = now
    problems[feed] = nil
  }

  /// Notes how far each counter is.
  private mutating func follow(_ services: [ServiceReading], at now: ContinuousClock.Instant) {
    for service in services {
      for series in service.series where series.isCounter {
        let name = SeriesLedger.Name(name: series.name, labels: series.labels)
        if risen[name] == nil, risen.count < Self.maximumCounters { risen[name] = 0 }
      }
      if service.kind == "signer", !service.incarnation.isEmpty {
        for name in MetricNames.ofSigners { signerRisen[service.incarnation, default: [:]][name, default: 0] += 0 }
      }
    }
    let here = Set(services.map(\.incarnation))
    signerRisen = signerRisen.filter { here.contains($0.key) }
    signerRises = signerRises.filter { here.contains($0.key) }
    signerTimes = signerTimes.filter { here.contains($0.key) }
    for (name, sum) in risen { rises[name, default: History()].append(sum, at: now) }
    for (incarnation, sums) in signerRisen {
      for (name, sum) in sums { signerRises[incarnation, default: [:]][name, default: History()].append(sum, at: now) }
    }
  }
}
