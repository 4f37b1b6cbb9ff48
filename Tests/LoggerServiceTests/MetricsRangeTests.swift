import Domain
import RPC
import Schema
import Testing
import TimeAndChance

@testable import LoggerService

/// The last seconds of metrics: by how much counters rose in each, what gauges said, how long times were; added up over the
/// series that were asked for; gaps where nothing was heard; and no more of it than there is room for.
@Suite struct MetricsRangeTests {
  private let start = ContinuousClock.now
  private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

  private func range(
    _ book: MetricsBook, _ name: String, seconds: UInt32, at now: Double, matching: [String: String] = [:],
    by: [String] = []
  ) -> ChanceryV1.MetricsRange {
    var book = book
    let labels = matching.map { ChanceryV1.Label(name: $0.key, value: $0.value) }
    return book.range(
      .init(name: name, matching: labels, by: by, durationS: seconds), now: at(now),
      at: Timestamp(rawValue: Int64(1_000_000 * now)))
  }

  @Test func counters() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    // What was counted before the first report may be long ago.
    for (time, value) in [(0.2, 1000), (0.7, 1001), (1.2, 1003), (1.7, 1006), (2.2, 1006), (4.4, 1016)]
      as [(Double, Double)]
    {
      _ = book.record(report(counter("n_total", value)), from: stream, now: at(time))
    }
    // A counter that was not there before began at zero.
    _ = book.record(report(counter("m_total", 7)), from: stream, now: at(4.6))
    let found = range(book, "n_total", seconds: 6, at: 5.5)
    #expect(found.startUs == -1_000_000 && found.stepMs == 1000 && !found.incomplete)
    #expect(found.series.map(\.labels) == [[]] && found.series.map(\.kind) == [.counter])
    #expect(found.series[0].points.map(\.value) == [0, 1, 5, 0, 0, 10])
    #expect(found.series[0].points.map(\.known) == [false, true, true, true, false, true])
    #expect(range(book, "m_total", seconds: 1, at: 5.5).series[0].points.map(\.value) == [7])
    #expect(range(book, "o_total", seconds: 1, at: 5.5).series.isEmpty)
    // The second that is under way is not told.
    #expect(range(book, "n_total", seconds: 1, at: 4.9).series[0].points.map(\.known) == [false])
  }

  @Test func restartsAndStreamsThatBreakMakeNoSpikes() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let first = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(counter("n_total", 500)), from: first, now: at(0.5))
    book.close(first, saidGoodbye: false)
    let again = try book.open(instance("signer", "s-1", 1), now: at(1))
    _ = book.record(report(counter("n_total", 510)), from: again, now: at(1.5))
    book.close(again, saidGoodbye: true)
    let second = try book.open(instance("signer", "s-1", 2), now: at(2))
    _ = book.record(report(counter("n_total", 300)), from: second, now: at(2.5))
    _ = book.record(report(counter("n_total", 303)), from: second, now: at(3.5))
    #expect(range(book, "n_total", seconds: 4, at: 4).series[0].points.map(\.value) == [0, 10, 0, 3])
  }

  @Test func gaugesKeepTheirValueWhileTheyAreHeard() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(gauge("g", 3)), from: stream, now: at(0.1))
    _ = book.record(report(gauge("g", 5)), from: stream, now: at(0.9))
    // A report without it: it has not changed.
    for time in [1.5, 2.5, 4.5] { _ = book.record(report(), from: stream, now: at(time)) }
    let points = range(book, "g", seconds: 5, at: 5).series[0].points
    #expect(points.map(\.value) == [5, 5, 5, 0, 5])
    #expect(points.map(\.known) == [true, true, true, false, true])
  }

  @Test func timesArePercentiles() throws {
    var book = MetricsBook(limits: .init(), now: start)
    var streams: [MetricsBook.Stream] = []
    for number in 1...2 { streams.append(try book.open(instance("signer", "s-\(number)", number), now: start)) }
    for stream in streams { _ = book.record(report(histogram("t_seconds", [9_000_000])), from: stream, now: at(0)) }
    let first = [9_000_000] + [UInt64](repeating: 1000, count: 90)
    _ = book.record(report(histogram("t_seconds", first)), from: streams[0], now: at(1.1))
    let second = [9_000_000] + [UInt64](repeating: 400_000, count: 10)
    _ = book.record(report(histogram("t_seconds", second)), from: streams[1], now: at(1.2))
    let points = range(book, "t_seconds", seconds: 2, at: 2).series[0].points
    #expect(points.map(\.count) == [0, 100])
    #expect(points[0] == .init(known: true))
    #expect(abs(points[1].p50 - 0.001) < 0.00001 && abs(points[1].p99 - 0.4) < 0.004)
  }

  @Test func groupsAndFilters() throws {
    var book = MetricsBook(limits: .init(), now: start)
    for (number, service) in ["signer", "signer", "coordinator"].enumerated() {
      let stream = try book.open(instance(service, "\(service)-\(number)", number + 1), now: start)
      _ = book.record(report(), from: stream, now: start)
      let amount = [1.0, 10, 100][number]
      _ = book.record(
        report(counter("n_total", amount, ["k": "a"]), counter("n_total", 2 * amount, ["k": "b"])), from: stream,
        now: at(0.5))
    }
    func sums(_ matching: [String: String], by: [String]) -> [String: Double] {
      let series = range(book, "n_total", seconds: 1, at: 1, matching: matching, by: by).series
      return Dictionary(
        uniqueKeysWithValues: series.map { series in
          (series.labels.map { "\($0.name)=\($0.value)" }.joined(separator: " "), series.points[0].value)
        })
    }
    #expect(sums([:], by: []) == ["": 333])
    #expect(sums([:], by: ["service"]) == ["service=coordinator": 300, "service=signer": 33])
    #expect(sums(["service": "signer"], by: ["k"]) == ["k=a": 11, "k=b": 22])
    #expect(
      sums(["k": "b"], by: ["instance", "none"]) == [
        "instance=coordinator-2 none=": 200, "instance=signer-0 none=": 2, "instance=signer-1 none=": 20,
      ])
    #expect(sums(["k": "c"], by: []).isEmpty)
  }

  @Test func fifteenMinutesAreKept() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    for second in 0...2000 {
      _ = book.record(report(counter("n_total", Double(second))), from: stream, now: at(Double(second)))
    }
    let found = range(book, "n_total", seconds: 900, at: 2001)
    #expect(!found.incomplete)
    #expect(found.series[0].points.allSatisfy { $0.known && $0.value == 1 })
  }

  @Test func theOldestSecondsMakeRoom() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.windowBytes = 10_000
    var book = MetricsBook(limits: limits, now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    for second in 0...300 {
      _ = book.record(report(counter("n_total", Double(second))), from: stream, now: at(Double(second)))
    }
    #expect(!range(book, "n_total", seconds: 60, at: 301).incomplete)
    let found = range(book, "n_total", seconds: 300, at: 301)
    #expect(found.incomplete)
    // 64 bytes a second, and 16 for each of two numbers.
    #expect(found.series[0].points.count(where: \.known) == 10_000 / 96)
  }

  @Test func seriesOfNoSecondMakeRoomForOthers() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.windowSeries = 4
    var book = MetricsBook(limits: limits, now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(), from: stream, now: start)
    let names = (0..<5).map { counter("n\($0)_total", 1) }
    _ = book.record(report(names), from: stream, now: at(0.5))
    #expect(range(book, "n0_total", seconds: 1, at: 1).series.count == 1)
    #expect(range(book, "n4_total", seconds: 1, at: 1).series.isEmpty)
    #expect(range(book, "n0_total", seconds: 1, at: 1).incomplete)
    for second in 1...950 { _ = book.record(report(), from: stream, now: at(Double(second))) }
    _ = book.record(report(counter("n4_total", 5)), from: stream, now: at(951))
    #expect(range(book, "n4_total", seconds: 1, at: 952).series[0].points.map(\.value) == [4])
    #expect(!range(book, "n4_total", seconds: 1, at: 952).incomplete)
  }

  @Test func aReplyFitsIntoOneMessage() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(), from: stream, now: start)
    for second in 1...3 {
      let times = [UInt64](repeating: 1 << 42, count: second)
      let metrics = (0..<100).map { histogram("t_seconds", times, ["k": "\($0)"]) }
      _ = book.record(report(metrics), from: stream, now: at(300 * Double(second)))
    }
    let found = range(book, "t_seconds", seconds: 900, at: 901, by: ["k"])
    #expect(found.series.count == 55 && found.incomplete)
    #expect(range(book, "t_seconds", seconds: 500, at: 901, by: ["k"]).series.count == 100)
    #expect(try found.protobufBytes().count < 4 << 20)
  }

  @Test(
    arguments: [
      (.init(durationS: 1), "name"), (.init(name: "n", durationS: 0), "duration_s 0"),
      (.init(name: "n", durationS: 901), "duration_s 901"),
      (.init(name: "n", matching: Array(repeating: .init(name: "a"), count: 17), durationS: 1), "17"),
      (.init(name: "n", by: Array(repeating: "a", count: 9), durationS: 1), "9"),
    ] as [(ChanceryV1.MetricsRangeRequest, String)])
  func requestsAreChecked(_ request: ChanceryV1.MetricsRangeRequest, _ complaint: String) throws {
    try LoggerRig.run { rig in
      let error = await #expect(throws: RPCError.self) { _ = try await rig.metrics.range(request) }
      #expect(error?.code == .invalidArgument)
      #expect(error?.message.contains(complaint) == true)
    }
  }

  @Test func served() throws {
    try LoggerRig.run { rig in
      _ = try await rig.telemetry.report { writer in
        try await writer.write(.init(instance: instance("signer", "s-1", 1), metrics: [counter("n_total", 1)]))
        try await writer.write(.init(metrics: [counter("n_total", 4)]))
        try await rig.pass(.seconds(2))
        let found = try await rig.metrics.range(.init(name: "n_total", durationS: 2))
        #expect(found.startUs == LoggerRig.epoch)
        #expect(found.series[0].points.map(\.value) == [3, 0])
      }
    }
  }
}
