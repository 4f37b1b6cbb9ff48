import Telemetry
import Testing

@testable import Dashboard

// Proves what the dashboard makes of what it is told: rates that no restart bends, percentiles, time left, failures,
// and names.
@Suite("The model tells rates, times and failures")
struct ModelTests {
  private let start = ContinuousClock.now
  private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

  private func model() -> DashboardModel { DashboardModel(context: "here", interval: .seconds(1), now: start) }

  private func coordinator(_ incarnation: String, stored: Double) -> ServiceReading {
    ServiceReading(
      kind: "coordinator", name: "c", incarnation: incarnation, age: .zero, isConnected: true,
      series: [SeriesReading(MetricNames.signaturesStored, value: stored)])
  }

  @Test func ratesAreTheRisesOfCounters() {
    var model = model()
    #expect(model.rate(MetricNames.signaturesStored) == nil)
    for second in 0...10 {
      model.take(
        services: [coordinator("a", stored: 5000 + 100 * Double(second))], isIncomplete: false, at: at(Double(second)))
    }
    #expect(model.rate(MetricNames.signaturesStored) == 100)
    #expect(model.rates(MetricNames.signaturesStored, 12) == [nil, nil] + Array(repeating: 100, count: 10))
    #expect(model.total(MetricNames.signaturesStored) == 6000)
  }

  /// A service that restarts counts from zero; a Logger that restarts has forgotten all, and is told again.
  @Test func restartsMakeNoSpikes() {
    var model = model()
    var told: [[ServiceReading]] = (0...5).map { [coordinator("a", stored: 1000 + 10 * Double($0))] }
    told.append([])  // Logger is back, and empty.
    told += (7...9).map { [coordinator("a", stored: 1000 + 10 * Double($0))] }
    told += (10...12).map { [coordinator("b", stored: 700 + 10 * Double($0))] }
    for (second, services) in told.enumerated() {
      model.take(services: services, isIncomplete: false, at: at(Double(second)))
      let rates = model.rates(MetricNames.signaturesStored, 5).compactMap { $0 }
      #expect(rates.allSatisfy { (0...20).contains($0) }, "second \(second): \(rates)")
    }
    #expect(model.rate(MetricNames.signaturesStored, over: .seconds(2)) == 10)
  }

  @Test func historiesAreBounded() {
    var history = History()
    for step in 0...100_000 { history.append(Double(step), at: at(Double(step) / 100)) }
    #expect(abs((history.rate(over: .seconds(5)) ?? 0) - 100) < 0.01)
    #expect(history.rates(60).compactMap { $0 }.count == 6, "of looks that come every 10 ms the last 6 s are kept")
  }

  @Test func percentilesAreOfWhatCameLately() throws {
    var model = model()
    var times = HDRHistogram()
    func look(_ second: Int) {
      let signer = ServiceReading(
        kind: "signer", name: "s", incarnation: "s", age: .zero, isConnected: true,
        series: [SeriesReading(MetricNames.keyWait.metric, ["algorithm": "ed25519"], times: times)])
      model.take(services: [signer], isIncomplete: false, at: at(Double(second)))
    }
    times.record(.seconds(900))
    look(0)
    #expect(model.times(MetricNames.keyWait).count == 0, "what was before the first look may be long ago")
    for second in 1...30 {
      for _ in 0..<99 { times.record(.milliseconds(second)) }
      times.record(.seconds(second))
      look(second)
    }
    func expect(_ found: Double?, _ wanted: Double) throws {
      let found = try #require(found)
      #expect(abs(found - wanted) <= wanted / 100, "\(found), not \(wanted)")
    }
    let lately = model.times(MetricNames.keyWait)
    #expect(lately.count == 500)
    try expect(lately.seconds(0.5), 0.028)
    try expect(lately.seconds(0.999), 30)
    try expect(model.signers.first?.wait.seconds(0.5), 0.028)
    let highs = model.highs(MetricNames.keyWait, 40)
    #expect(highs.prefix(10).allSatisfy { $0 == nil })
    for second in 1...30 { try expect(highs[9 + second], Double(second) / 1000) }
    for second in 31...36 { look(second) }
    #expect(model.times(MetricNames.keyWait).count == 0, "nothing waited")
    #expect(model.highs(MetricNames.keyWait, 10).compactMap { $0 }.count == 4)
  }

  @Test func theTimeLeftIsARange() throws {
    var model = model()
    func job(_ signed: Double) -> JobReading {
      JobReading(
        id: "j", state: "running", algorithm: "ed25519", source: "records", batchSize: 1, priority: 0, planned: 10_000,
        isPlanned: true, signed: signed, failed: 0, alreadySigned: 0, batchesLeased: 0)
    }
    model.take(jobs: [job(0)], at: at(0))
    #expect(model.remaining(job(0)) == nil)
    for second in 1...40 {
      let signed = second <= 30 ? 50 * Double(second) : 1500 + 100 * Double(second - 30)
      model.take(jobs: [job(signed)], at: at(Double(second)))
    }
    let left = try #require(model.remaining(job(2500)))
    #expect(left.lowerBound == 75 && left.upperBound == 120)
    var paused = job(2500)
    paused.state = "paused"
    #expect(model.remaining(paused) == nil)
  }

  @Test func failuresAreFoundByTheirForm() {
    var cluster = SampleCluster()
    cluster.run(seconds: 0...61)
    let failures = cluster.dashboard.model.failures
    #expect(
      failures.map(\.cause) == [
        "batches refused: STALE_LEASE", "batches returned: silent", "calls: Jobs/Get NOT_FOUND",
      ])
    #expect(failures.map(\.total) == [3, 1, 1])
    #expect(failures.map(\.lastMinute) == [3, 1, 0])
  }

  @Test func theNewestEventsAreKept() {
    var model = model()
    func event(_ number: Int) -> EventReading {
      EventReading(time: "", level: .info, reporter: "c", name: "\(number)", message: "")
    }
    model.take(events: (0..<70).map(event), isFresh: true, at: at(0))
    model.take(events: (70..<130).map(event), isFresh: false, at: at(1))
    #expect(model.events.map(\.name) == (30..<130).reversed().map(String.init))
    // The stream has begun anew, with what is known.
    model.take(events: (120..<135).map(event), isFresh: true, at: at(2))
    #expect(model.events.map(\.name) == (120..<135).reversed().map(String.init))
  }

  @Test func signersHaveAState() {
    var cluster = SampleCluster(signers: 3)
    cluster.run(seconds: 0...60)
    let signers = cluster.dashboard.model.signers
    #expect(signers.map(\.state) == [.silent, .gone, .working])
    #expect(signers.last?.keys == [1])
    #expect(cluster.dashboard.model.holderName("id-1") == "signer-1")
    #expect(cluster.dashboard.model.holderName("nobody") == "nobody")
  }

  @Test func textIsMeasuredAndMadeHarmless() {
    #expect("発票".displayWidth == 4 && "e\u{301}".displayWidth == 1 && "🔑".displayWidth == 2)
    #expect("a\u{1B}[0m\u{202E}b\r\n\u{9B}".printable(isUTF8: true) == "a?[0m?b??")
    #expect("é発".printable(isUTF8: false) == "??")
    let zalgo = "a" + String(repeating: "\u{301}", count: 50)
    #expect(zalgo.printable(isUTF8: true).unicodeScalars.count == 3)
    var frame = Frame(width: 5, height: 1)
    frame.write([Span("ab発票")], row: 0)
    #expect(frame.text == "ab発\n", "half a character is not drawn")
  }

  @Test func numbersAreShort() {
    #expect([0, 0.4, 9.96, 950, 47_234, 1_203_000].map(Numbers.short) == ["0", "0.4", "10", "950", "47.2k", "1.20M"])
    #expect([0.00085, 0.0123, 4.2, 75].map(Numbers.time) == ["850us", "12.3ms", "4.20s", "75.0s"])
    #expect([42, 185, 7385, 400_000].map(Numbers.clock) == ["42 s", "3:05", "2:03:05", "4 d"])
    #expect(Numbers.grouped(1_234_567) == "1,234,567" && Numbers.percent(999.99, of: 1000) == "99.9%")
    #expect([Double.nan, -.infinity].map(Numbers.time) == ["?", "?"])
  }
}
