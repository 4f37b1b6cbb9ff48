import Telemetry

/// The metrics that the dashboard knows by name; all others that fail are found by their form.
enum MetricNames {
  static let signaturesStored = "chancery_signatures_stored_total"
  static let recordsSigned = "chancery_records_signed_total"
  static let batchesSigned = "chancery_batches_signed_total"
  /// What is followed for each signer.
  static let ofSigners = [recordsSigned, batchesSigned]
  /// How long signers sign a batch.
  static let signing = TimeName("signer signs a batch", "chancery_batch_signing_seconds")
  /// How long signers wait for the key of a batch.
  static let keyWait = TimeName("signer waits for a key", "chancery_lease_wait_seconds")
  /// The times that are followed for each signer.
  static let timesOfSigners = [signing.metric, keyWait.metric]
  /// All times that are followed, what matters most first.
  static let times: [TimeName] = [
    signing, keyWait, TimeName("signer waits for the commit", "chancery_result_wait_seconds"),
    TimeName("postgres: commit", "chancery_store_seconds", operation: "commit"),
    TimeName("postgres: claim", "chancery_store_seconds", operation: "claim"),
    TimeName("redis: take", "chancery_cache_seconds", operation: "take"),
    TimeName("keykeeper grants a key", "chancery_acquire_wait_seconds"),
    TimeName("signer signs a record", "chancery_record_signing_seconds"),
    TimeName("postgres: payloads", "chancery_store_seconds", operation: "payloads"),
    TimeName("postgres: grant", "chancery_store_seconds", operation: "grant"),
    TimeName("postgres: release", "chancery_store_seconds", operation: "release"),
  ]
  static let leasesHeld = "chancery_leases_held"
  static let leaseLeft = "chancery_lease_left_seconds"
  static let signerInfo = "chancery_signer_info"
}

/// Something that takes time, and the histogram that tells how much.
struct TimeName: Sendable {
  /// For people.
  let what: String
  let metric: String
  /// Nil for the series of all operations.
  let operation: String?

  init(_ what: String, _ metric: String, operation: String? = nil) {
    (self.what, self.metric, self.operation) = (what, metric, operation)
  }

  func includes(_ name: SeriesLedger.Name) -> Bool {
    name.name == metric && (operation == nil || name.labels["operation"] == operation)
  }
}

extension DashboardModel {
  /// The time over which rates and percentiles are taken.
  static let window = Duration.seconds(5)

  /// How old what is shown of the metrics is; nil if they never came.
  func age(_ feed: Feed, _ now: ContinuousClock.Instant) -> Duration? { heard[feed].map { $0.duration(to: now) } }

  /// Whether the metrics have stopped.
  func isStale(_ now: ContinuousClock.Instant) -> Bool {
    (age(.metrics, now) ?? .zero) > max(.seconds(2), interval * 3)
  }

  /// The sum of a counter or gauge over all services and what they have left behind.
  func total(_ name: String) -> Double { total { $0.name == name } }

  private func total(_ matches: (SeriesReading) -> Bool) -> Double {
    services.reduce(0) { sum, service in
      service.series.reduce(sum) { matches($1) ? $0 + $1.value : $0 }
    }
  }

  /// The rise per second of a counter over all services; nil while that is not known.
  func rate(_ name: String, over time: Duration = DashboardModel.window) -> Double? {
    let rates = rises.compactMap { $0.key.name == name ? $0.value.rate(over: time) : nil }
    return rates.isEmpty ? nil : rates.reduce(0, +)
  }

  /// The rise per second of a counter in each of the last seconds.
  func rates(_ name: String, _ count: Int) -> [Double?] {
    rises.filter { $0.key.name == name }.reduce(Array(repeating: nil, count: count)) { sums, next in
      zip(sums, next.value.rates(count)).map { $0 == nil && $1 == nil ? nil : ($0 ?? 0) + ($1 ?? 0) }
    }
  }

  /// How long something took lately.
  func times(_ name: TimeName, over time: Duration = DashboardModel.window) -> HDRHistogram {
    times.reduce(into: HDRHistogram()) { sum, next in
      if name.includes(next.key) { sum += next.value.times(over: time) }
    }
  }

  /// What one in a hundred times exceeded in each of the last seconds, in seconds; nil where there was none.
  func highs(_ name: TimeName, _ count: Int) -> [Double?] {
    let sums = times.reduce(into: Array(repeating: HDRHistogram(), count: count)) { sums, next in
      guard name.includes(next.key) else { return }
      for (index, times) in next.value.bySecond(count).enumerated() { sums[index] += times }
    }
    return sums.map { $0.seconds(0.99) }
  }

  /// How long a job will take yet: from the faster and the slower of its rates over 10 s and over a minute; nil if that
  /// cannot be told.
  func remaining(_ job: JobReading) -> ClosedRange<Double>? {
    guard job.state == "running", job.isPlanned, let history = jobHistories[job.id] else { return nil }
    let rates = [Duration.seconds(10), .seconds(60)].compactMap { history.rate(over: $0) }.filter { $0 > 0 }
    guard let fastest = rates.max(), let slowest = rates.min() else { return nil }
    let rest = max(0, job.planned - job.ended)
    return (rest / fastest)...(rest / slowest)
  }
}

/// A signer, as the dashboard shows it.
struct SignerSummary: Sendable {
  var name: String
  var state: State
  var id: String
  /// Records per second.
  var rate: Double?
  var signed: Double
  /// How long it signed a batch lately.
  var signing: HDRHistogram
  /// How long it waited for a key lately.
  var wait: HDRHistogram
  /// Batches that it signs now: each has a key.
  var inFlight: Double
  var keys: [Int64]
  /// Until the first of its leases would end if it was not extended, in seconds.
  var leaseLeft: Double?
  var age: Duration

  enum State: String {
    case working
    case idle
    case silent
    case gone
  }
}

extension DashboardModel {
  /// After so long without a report a service counts as silent.
  static let silence = Duration.seconds(3)

  /// The signers, by name.
  var signers: [SignerSummary] {
    services.filter { $0.kind == "signer" && !$0.incarnation.isEmpty }.map(summary).sorted { $0.name < $1.name }
  }

  private func summary(_ service: ServiceReading) -> SignerSummary {
    func value(_ name: String) -> Double { service.series.first { $0.name == name }?.value ?? 0 }
    let id = service.series.first { $0.name == MetricNames.signerInfo }?.labels["signer"] ?? ""
    let rises = signerRises[service.incarnation] ?? [:]
    func risen(_ name: String) -> Double? { rises[name]?.rate(over: Self.window) }
    func times(_ name: TimeName) -> HDRHistogram {
      signerTimes[service.incarnation]?[name.metric]?.times(over: Self.window) ?? HDRHistogram()
    }
    let rate = risen(MetricNames.recordsSigned)
    let inFlight = value(MetricNames.leasesHeld)
    let state: SignerSummary.State =
      !service.isConnected
      ? .gone : service.age > Self.silence ? .silent : inFlight > 0 || rate ?? 0 > 0 ? .working : .idle
    return SignerSummary(
      name: service.name, state: state, id: id, rate: rate, signed: value(MetricNames.recordsSigned),
      signing: times(MetricNames.signing), wait: times(MetricNames.keyWait), inFlight: inFlight,
      keys: id.isEmpty ? [] : keys.filter { $0.holder == id }.map(\.id),
      leaseLeft: inFlight > 0 ? service.series.first { $0.name == MetricNames.leaseLeft }?.value : nil,
      age: service.age)
  }

  /// The name of the signer that has an id; the beginning of the id if it is not known.
  func holderName(_ id: String) -> String {
    guard !id.isEmpty else { return "" }
    let holder = services.first { service in
      service.series.contains { $0.name == MetricNames.signerInfo && $0.labels["signer"] == id }
    }
    return holder?.name ?? String(id.prefix(8))
  }
}

/// Something that went wrong, and how often.
struct FailureSummary: Sendable, Hashable {
  /// Such as `batches refused: STALE_LEASE`.
  var cause: String
  var total: Double
  var lastMinute: Double
}

extension DashboardModel {
  /// What went wrong, by cause, what happened lately first. A counter tells of failures if its name says so, or if its
  /// label `code` is not OK.
  var failures: [FailureSummary] {
    var sums: [String: FailureSummary] = [:]
    for service in services {
      for series in service.series where series.isCounter && series.value > 0 {
        guard let cause = Self.cause(series.name, series.labels) else { continue }
        sums[cause, default: FailureSummary(cause: cause, total: 0, lastMinute: 0)].total += series.value
      }
    }
    for (name, history) in rises {
      guard let cause = Self.cause(name.name, name.labels), sums[cause] != nil else { continue }
      sums[cause]!.lastMinute += history.rise
    }
    return sums.values.sorted { ($1.lastMinute, $1.total, $0.cause) < ($0.lastMinute, $0.total, $1.cause) }
  }

  private static func cause(_ name: String, _ labels: [String: String]) -> String? {
    let words = ["failed", "failures", "refused", "lost", "dropped", "timed_out", "stale", "expired", "returned"]
    let isFailure = words.contains { name.contains("_\($0)_") }
    let code = labels["code"].flatMap { $0 == "OK" || $0 == "CANCELLED" ? nil : $0 }
    // A call is counted at both ends: the server's side is enough.
    guard isFailure || (code != nil && name == "chancery_rpc_server_calls_total") else { return nil }
    var what = name
    if what.hasPrefix("chancery_") { what.removeFirst("chancery_".count) }
    if what.hasSuffix("_total") { what.removeLast("_total".count) }
    what = what == "rpc_server_calls" ? "calls" : what.split(separator: "_").joined(separator: " ")
    let particulars = [
      labels["method"]?.split(separator: ".").last.map(String.init), code, labels["reason"], labels["cause"],
    ]
    return ([what + (particulars.contains { $0 != nil } ? ":" : "")] + particulars.compactMap { $0 }).joined(
      separator: " ")
  }
}
