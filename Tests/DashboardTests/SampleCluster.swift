import Telemetry

@testable import Dashboard

/// A cluster as its feeds tell of it: a job in the middle, signers that work and one that fell silent, and names that
/// try to get at the terminal.
struct SampleCluster {
  var start: ContinuousClock.Instant
  var signers = 2
  var keys = 6
  var rate = 400.0
  var dashboard: Dashboard

  init(signers: Int = 2, keys: Int = 6) {
    start = .now
    (self.signers, self.keys) = (signers, keys)
    dashboard = Dashboard(
      DashboardModel(context: "127.0.0.1:7422", interval: .seconds(1), now: start), Capabilities(isUTF8: true))
  }

  /// The screen at a size, some seconds after the start.
  mutating func frame(_ width: Int, _ height: Int, isUTF8: Bool = true, at seconds: Double) -> Frame {
    dashboard.size = (width, height)
    dashboard.capabilities = Capabilities(isUTF8: isUTF8)
    return dashboard.frame(now: instant(seconds))
  }

  func instant(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

  /// Lets seconds pass, of each of which all feeds tell.
  mutating func run(seconds range: ClosedRange<Int>) {
    for second in range {
      let now = instant(Double(second))
      dashboard.model.take(services: services(second), isIncomplete: false, at: now)
      dashboard.model.take(jobs: jobs(second), at: now)
      dashboard.model.take(keys: ring(second), hasMore: false, at: now)
      if let events = events(second) { dashboard.model.take(events: events, isFresh: second == 0, at: now) }
    }
  }

  /// A wave, so that a sparkline has a shape.
  private func stored(_ second: Int) -> Double {
    (0..<second).reduce(0) { $0 + rate * Double(1 + $1 % 7) / 4 }
  }

  func services(_ second: Int) -> [ServiceReading] {
    let each = stored(second) / Double(max(1, signers))
    let workers = (0..<signers).map { index in
      let isSilent = index == 1 && second > 50
      let batches = Double(second * 3)
      return ServiceReading(
        kind: "signer", name: index == 0 ? "signer-é\u{1B}[31m" : "signer-\(index)", incarnation: "signer-\(index)",
        age: isSilent ? .seconds(second - 50) : .milliseconds(200), isConnected: index != 2,
        series: [
          SeriesReading("chancery_records_signed_total", value: each),
          SeriesReading("chancery_leases_held", isCounter: false, value: isSilent ? 0 : 2),
          SeriesReading("chancery_lease_left_seconds", isCounter: false, value: 7.25),
          SeriesReading("chancery_signer_info", ["signer": "id-\(index)"], isCounter: false, value: 1),
          SeriesReading("chancery_batches_signed_total", value: batches),
          times("chancery_batch_signing_seconds", [:], second) { 18 + $0 % 20 },
          times("chancery_lease_wait_seconds", [:], second) { 2 * $0 },
        ])
    }
    return [
      ServiceReading(
        kind: "coordinator", name: "coordinator-1", incarnation: "c", age: .milliseconds(300), isConnected: true,
        series: [
          SeriesReading("chancery_signatures_stored_total", value: stored(second)),
          SeriesReading("chancery_batches_refused_total", ["reason": "STALE_LEASE"], value: second > 40 ? 3 : 0),
          SeriesReading("chancery_batches_returned_total", ["cause": "silent"], value: second > 2 ? 1 : 0),
          SeriesReading(
            "chancery_rpc_server_calls_total", ["method": "chancery.v1.Jobs/Get", "code": "NOT_FOUND"], value: 1),
        ]),
      ServiceReading(
        kind: "coordinator", name: "", incarnation: "", age: .seconds(99), isConnected: false,
        series: [
          SeriesReading("chancery_signatures_stored_total", value: 1000)
        ]),
      ServiceReading(
        kind: "keykeeper", name: "keykeeper-1", incarnation: "k", age: .milliseconds(100), isConnected: true,
        series: [
          SeriesReading("chancery_leases_granted_total", ["algorithm": "ed25519"], value: Double(second) * 3),
          SeriesReading("chancery_leases_released_total", ["algorithm": "ed25519"], value: Double(second) * 3 - 2),
          SeriesReading("chancery_acquires_waiting", ["algorithm": "ed25519"], isCounter: false, value: 4),
          times("chancery_acquire_wait_seconds", ["algorithm": "ed25519"], second) { _ in 4 },
          times("chancery_store_seconds", ["operation": "grant"], second) { _ in 2 },
          times("chancery_cache_seconds", ["operation": "take"], second) { _ in 1 },
        ]),
    ] + workers
  }

  /// Three times of each second, in milliseconds.
  private func times(
    _ name: String, _ labels: [String: String], _ second: Int, _ milliseconds: (Int) -> Int
  ) -> SeriesReading {
    var times = HDRHistogram()
    for moment in 0..<3 * second { times.record(.milliseconds(milliseconds(moment / 3))) }
    return SeriesReading(name, labels, times: times)
  }

  /// Something happens every ten seconds.
  func events(_ second: Int) -> [EventReading]? {
    guard second.isMultiple(of: 10) else { return nil }
    return [
      EventReading(
        time: "12:00:\(second < 60 ? second : 59)", level: .info, reporter: "coordinator-1", name: "job.submitted",
        message: "ed25519, batches of 1000"),
      EventReading(
        time: "12:00:\(second < 60 ? second : 59)", level: second == 40 ? .error : .warning,
        reporter: "signer-é\u{1B}[31m",
        name: "result.refused", message: "the batch was given to another\u{202E}\n"),
    ]
  }

  func jobs(_ second: Int) -> [JobReading] {
    func job(_ number: Int, _ state: String, _ signed: Double, failed: Double = 0) -> JobReading {
      JobReading(
        id: "0190a3c2-0000-7000-8000-00000000000\(number)", state: state, algorithm: "ed25519", source: "records",
        batchSize: 1000, priority: number, planned: 50_000, isPlanned: true, signed: signed, failed: failed,
        alreadySigned: 100, batchesLeased: 4)
    }
    return [job(3, "running", min(49_900, stored(second))), job(2, "paused", 4000), job(1, "done", 49_893, failed: 7)]
  }

  func ring(_ second: Int) -> [KeyReading] {
    (0..<keys).map { index in
      KeyReading(
        id: Int64(index + 1), algorithm: index.isMultiple(of: 2) ? "ed25519" : "ecdsa-p256",
        state: index == 3 ? "disabled" : "active", uses: Int64(second / (index + 1)),
        holder: index < 2 ? "id-\(index)" : index == 2 ? "a-holder-that-no-service-has-named" : "",
        label: index == 0 ? "発票\u{202E}\u{7}" : "ring \(index)")
    }
  }
}
