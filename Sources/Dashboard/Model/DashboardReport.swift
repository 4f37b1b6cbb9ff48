import Telemetry
import TimeAndChance

/// The dashboard's numbers at one moment, for programs and for logs.
public struct DashboardReport: Sendable, Encodable {
  /// A job.
  public struct Job: Sendable, Encodable {
    /// Its id.
    public var id: String
    /// Its state.
    public var state: String
    /// Records in batches so far.
    public var planned: Int
    /// Records signed by it.
    public var signed: Int
    /// Records that others had signed before.
    public var alreadySigned: Int
    /// Records that cannot be signed.
    public var failed: Int

    enum CodingKeys: String, CodingKey {
      case id = "job_id"
      case state, planned, signed
      case alreadySigned = "already_signed"
      case failed
    }
  }

  /// A signer.
  public struct Signer: Sendable, Encodable {
    /// Its name.
    public var name: String
    /// `working`, `idle`, `silent` or `gone`.
    public var state: String
    /// Records per second.
    public var recordsPerSecond: Double?
    /// Records that it has signed.
    public var signed: Int
    /// Batches that it signs now.
    public var batches: Int
    /// The time, in seconds, in which it signs a batch; half take longer.
    public var signing: Double?
    /// The same; one in a hundred takes longer.
    public var signingHigh: Double?

    enum CodingKeys: String, CodingKey {
      case name, state
      case recordsPerSecond = "records_per_second"
      case signed, batches
      case signing = "batch_signing_p50_seconds"
      case signingHigh = "batch_signing_p99_seconds"
    }
  }

  /// Something that went wrong.
  public struct Failure: Sendable, Encodable {
    /// What.
    public var cause: String
    /// How often since the services began to count.
    public var total: Int
    /// How often in the last minute.
    public var lastMinute: Int

    enum CodingKeys: String, CodingKey {
      case cause, total
      case lastMinute = "last_minute"
    }
  }

  /// When, as RFC 3339.
  public var at: String
  /// Seconds since the metrics came; null if they never did.
  public var age: Double?
  /// Signatures that were stored, as the coordinators count them.
  public var signatures: Int
  /// Signatures stored per second.
  public var signaturesPerSecond: Double?
  /// The time, in seconds, that signers wait for a key; one in a hundred waits longer.
  public var keyWait: Double?
  /// Keys that are held.
  public var keysHeld: Int
  /// The newest jobs.
  public var jobs: [Job]
  /// The signers.
  public var signers: [Signer]
  /// What went wrong.
  public var failures: [Failure]

  enum CodingKeys: String, CodingKey {
    case at
    case age = "age_seconds"
    case signatures
    case signaturesPerSecond = "signatures_per_second"
    case keyWait = "key_wait_p99_seconds"
    case keysHeld = "keys_held"
    case jobs, signers, failures
  }
}

extension DashboardModel {
  /// The numbers at `now`, which people call `time`.
  public func report(at now: ContinuousClock.Instant, time: String) -> DashboardReport {
    DashboardReport(
      at: time, age: age(.metrics, now)?.inSeconds, signatures: whole(total(MetricNames.signaturesStored)),
      signaturesPerSecond: rate(MetricNames.signaturesStored),
      keyWait: times(MetricNames.keyWait).seconds(0.99),
      keysHeld: keys.count { !$0.holder.isEmpty },
      jobs: jobs.map {
        DashboardReport.Job(
          id: $0.id, state: $0.state, planned: whole($0.planned), signed: whole($0.signed),
          alreadySigned: whole($0.alreadySigned), failed: whole($0.failed))
      },
      signers: signers.map {
        DashboardReport.Signer(
          name: $0.name, state: $0.state.rawValue, recordsPerSecond: $0.rate, signed: whole($0.signed),
          batches: whole($0.inFlight), signing: $0.signing.seconds(0.5), signingHigh: $0.signing.seconds(0.99))
      },
      failures: failures.map {
        DashboardReport.Failure(cause: $0.cause, total: whole($0.total), lastMinute: whole($0.lastMinute))
      })
  }

  /// Whether each feed but the log has told something, and the metrics twice, so that there are rates.
  public var isComplete: Bool {
    // A cluster in which nothing has happened yet has no log.
    Feed.allCases.allSatisfy { $0 == .log || heard[$0] != nil } && metricsTaken > 1
  }

  /// Why feeds cannot be had now.
  public var failedFeeds: [Feed: String] { problems }

  private func whole(_ value: Double) -> Int { Int(exactly: value.rounded()) ?? 0 }
}

extension DashboardReport {
  /// The report in a line, for a terminal that shows no screen.
  public var line: String {
    let open = jobs.filter { $0.state == "running" || $0.state == "paused" }
    let progress = (open.first ?? jobs.first).map { job in
      let ended = Double(job.signed + job.alreadySigned + job.failed)
      return " job \(job.id.prefix(8)) \(job.state) \(Numbers.percent(ended, of: Double(job.planned)))"
    }
    let working = signers.count { $0.state == "working" }
    let failed = failures.reduce(0) { $0 + $1.lastMinute }
    let line =
      "\(at) signatures \(Numbers.grouped(Double(signatures))) \(signaturesPerSecond.map(Numbers.short) ?? "-")/s"
      + (progress ?? "") + " signers \(working)/\(signers.count) keys held \(keysHeld)"
      + " key wait p99 \(keyWait.map(Numbers.time) ?? "-") failures/min \(failed)"
      + (age.map { $0 > 3 ? " stale \(Numbers.clock($0))" : "" } ?? " no metrics")
    return line.printable(isUTF8: true)
  }
}
