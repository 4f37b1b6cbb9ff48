import Domain
import RPC
import Schema
import Testing
import TimeAndChance

@testable import LoggerService

/// The book of metrics as a pure value: what a snapshot shows after streams opened, reported and ended in every order,
/// that the sum of a counter stays the truth over restarts, and that every bound drops, counts and confesses.
@Suite struct MetricsBookTests {
  let start = ContinuousClock.now

  @Test func newestValuesByNameAndLabels() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    let first = report(counter("b_total", 3), gauge("a", 5, ["y": "2", "x": "1"]))
    #expect(book.record(first, from: stream, now: start) == .init())
    let second = report(gauge("a", 4, ["x": "1", "y": "2"]), counter("b_total", 7), gauge("a", 1))
    #expect(book.record(second, from: stream, now: start) == .init())
    let snapshot = book.snapshot(now: start.advanced(by: .milliseconds(1500)), at: Timestamp(rawValue: 42))
    #expect(snapshot.atUs == 42)
    #expect(!snapshot.incomplete)
    let service = try #require(snapshot.services.first)
    #expect(snapshot.services.count == 1)
    #expect(service.instance == instance("signer", "s-1", 1))
    #expect(service.connected)
    #expect(service.ageMs == 1500)
    #expect(service.metrics == [gauge("a", 1), gauge("a", 4, ["x": "1", "y": "2"]), counter("b_total", 7)])
  }

  @Test func counterNeverFallsWithinAnIncarnation() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(counter("n_total", 9), gauge("g", 9)), from: stream, now: start)
    _ = book.record(report(counter("n_total", 8), gauge("g", 8)), from: stream, now: start)
    #expect(sum("n_total", book) == 9)
    #expect(sum("g", book) == 8)
  }

  @Test func histogramsGrowAndNeverShrink() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    for times in [[7], [7, 900, 900], [7, 900]] as [[UInt64]] {
      #expect(book.record(report(histogram("t_seconds", times)), from: stream, now: start) == .init())
    }
    #expect(
      book.snapshot(now: start, at: Timestamp(rawValue: 0)).services[0].metrics == [
        histogram("t_seconds", [7, 900, 900])
      ])
  }

  @Test func histogramsOfAServiceAreSummed() throws {
    var book = MetricsBook(limits: .init(), now: start)
    for (incarnation, times) in [(1, [5, 100]), (2, [5, 70_000])] as [(Int, [UInt64])] {
      let stream = try book.open(instance("signer", "s-1", incarnation), now: start)
      _ = book.record(report(histogram("t_seconds", times)), from: stream, now: start)
      book.close(stream, saidGoodbye: true)
    }
    func total() -> [ChanceryV1.Metric] { book.snapshot(now: start, at: Timestamp(rawValue: 0)).services[0].metrics }
    #expect(total() == [histogram("t_seconds", [5, 100, 5, 70_000])])
    // The first was not over after all.
    _ = try book.open(instance("signer", "s-1", 1), now: start)
    #expect(total() == [histogram("t_seconds", [5, 70_000])])
  }

  @Test func roomForHistograms() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.histogramBytes = 3 * (32 + 12)
    var book = MetricsBook(limits: limits, now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    let names = ["a", "b", "c", "d"]
    #expect(book.record(report(names.map { histogram($0, [1]) }), from: stream, now: start) == .init(excess: 1))
    #expect(isIncomplete(book))
    #expect(book.record(report(histogram("a", [1, 1])), from: stream, now: start) == .init(), "as large as before")
    #expect(book.record(report(histogram("a", [1, 1, 2])), from: stream, now: start) == .init(excess: 1))
    book.close(stream, saidGoodbye: true)
    let other = try book.open(instance("coordinator", "c-1", 2), now: start)
    #expect(
      book.record(report(histogram("a", [1])), from: other, now: start) == .init(excess: 1), "totals take room too")
  }

  @Test func goodbyeFoldsCountersIntoTheTotalOfTheService() throws {
    var book = MetricsBook(limits: .init(), now: start)
    for (incarnation, value) in [(1, 10.0), (2, 5.0)] {
      let stream = try book.open(instance("signer", "s-1", incarnation), now: start)
      _ = book.record(report(counter("n_total", value), gauge("held", 3), dropped: 2), from: stream, now: start)
      book.close(stream, saidGoodbye: true)
    }
    let stream = try book.open(instance("signer", "s-1", 3), now: start)
    _ = book.record(report(counter("n_total", 1), gauge("held", 4)), from: stream, now: start)
    let snapshot = book.snapshot(now: start, at: Timestamp(rawValue: 0))
    #expect(snapshot.services.map(\.instance?.name) == ["", "s-1"])
    #expect(snapshot.services[0].metrics == [counter("n_total", 15)])
    #expect(snapshot.services[0].instance == ChanceryV1.ServiceInstance(service: "signer"))
    #expect(snapshot.services[0].eventsDropped == 4)
    #expect(sum("n_total", book) == 16)
    #expect(sum("held", book) == 4)
    #expect(!snapshot.incomplete)
  }

  @Test func silentIncarnationIsReplacedByItsSuccessorAndMayComeBack() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let first = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(counter("n_total", 10)), from: first, now: start)
    book.close(first, saidGoodbye: false)
    #expect(isIncomplete(book))
    #expect(book.snapshot(now: start, at: Timestamp(rawValue: 0)).services.map(\.connected) == [false])
    let second = try book.open(instance("signer", "s-1", 2), now: start)
    _ = book.record(report(counter("n_total", 5)), from: second, now: start)
    #expect(sum("n_total", book) == 15)
    #expect(book.incarnations.count == 1)
    #expect(isIncomplete(book), "what the first counted after its last report is lost")
    // It was only paused: nothing may be counted twice, and now nothing is lost.
    let again = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(counter("n_total", 12)), from: again, now: start)
    #expect(sum("n_total", book) == 17)
    #expect(!isIncomplete(book))
  }

  @Test func reportsOnAStreamThatWasReplacedCountForNothing() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let old = try book.open(instance("signer", "s-1", 1), now: start)
    let new = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(gauge("g", 2)), from: new, now: start)
    _ = book.record(report(gauge("g", 1)), from: old, now: start)
    book.close(old, saidGoodbye: true)
    #expect(sum("g", book) == 2)
    #expect(book.snapshot(now: start, at: Timestamp(rawValue: 0)).services.map(\.connected) == [true])
  }

  @Test func staleAndSilentMakeIncomplete() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    #expect(!isIncomplete(book, after: .seconds(5)))
    #expect(isIncomplete(book, after: .seconds(6)), "open, but it does not report")
    book.close(stream, saidGoodbye: false)
    book.sweep(now: start.advanced(by: .seconds(599)))
    #expect(book.incarnations.count == 1)
    book.sweep(now: start.advanced(by: .seconds(600)))
    #expect(book.incarnations.isEmpty)
    #expect(isIncomplete(book, after: .seconds(600)), "for good: its last counts are unknown")
  }

  @Test func roomForIncarnations() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.incarnations = 2
    limits.services = 2
    var book = MetricsBook(limits: limits, now: start)
    let first = try book.open(instance("signer", "s-1", 1), now: start)
    _ = book.record(report(counter("n_total", 10), gauge("g", 1)), from: first, now: start)
    _ = try book.open(instance("broker", "b-1", 2), now: start)
    let error = #expect(throws: RPCError.self) { try book.open(instance("signer", "s-2", 3), now: start) }
    #expect(error?.code == .resourceExhausted)
    #expect(isIncomplete(book), "one was refused a moment ago")
    #expect(!isIncomplete(book, after: .seconds(31), recent: [first]))
    book.close(first, saidGoodbye: false)
    let third = try book.open(instance("signer", "s-2", 3), now: start)
    _ = book.record(report(counter("n_total", 1)), from: third, now: start)
    #expect(sum("n_total", book) == 11)
    #expect(sum("g", book) == 0)
    let kinds = #expect(throws: RPCError.self) { try book.open(instance("logger", "l-1", 4), now: start) }
    #expect(kinds?.code == .resourceExhausted)
  }

  @Test func roomForSeries() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.series = 4
    limits.labelSets = 2
    limits.textBytes = 200
    var book = MetricsBook(limits: limits, now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    let sets = (0..<5).map { counter("n_total", 1, ["k": "\($0)"]) }
    #expect(book.record(report(sets), from: stream, now: start) == .init(excess: 3))
    #expect(isIncomplete(book))
    #expect(book.record(report(sets), from: stream, now: start) == .init(excess: 3), "known series are still taken")
    let names = (0..<5).map { gauge("g\($0)", 1) }
    #expect(book.record(report(names), from: stream, now: start).excess == 3)
    // What was taken by one incarnation is not left for another, until it ends.
    let other = try book.open(instance("signer", "s-2", 2), now: start)
    let long = report(gauge(String(repeating: "x", count: 90), 1))
    #expect(book.record(long, from: other, now: start).excess == 1)
    book.close(stream, saidGoodbye: true)
    #expect(book.record(long, from: other, now: start).excess == 0)
  }

  @Test func jobsAndKeysMakeRoomForNewerOnes() throws {
    var limits = LoggerOptions.MetricLimits()
    limits.labelSets = 2
    var book = MetricsBook(limits: limits, now: start)
    let stream = try book.open(instance("coordinator", "c-1", 1), now: start)
    func tell(_ key: String, _ value: Double) -> MetricsBook.Dropped {
      book.record(report(counter("n_total", value, ["key": key])), from: stream, now: start)
    }
    for (key, value) in [("1", 5), ("2", 5), ("1", 6), ("3", 5)] as [(String, Double)] {
      #expect(tell(key, value) == .init())
    }
    #expect(sum("n_total", book) == 11, "nothing was told of 2 for longest")
    // It begins anew, and so does one that its reporter has forgotten but not the book.
    #expect(tell("2", 1) == .init())
    #expect(tell("3", 2) == .init())
    #expect(sum("n_total", book) == 3)
    let points = book.range(
      .init(name: "n_total", by: ["key"], durationS: 1), now: start.advanced(by: .seconds(1)),
      at: Timestamp(rawValue: 0)
    ).series
    #expect(points.map { $0.labels[0].value } == ["1", "2", "3"])
    #expect(points.map { $0.points[0].value } == [1, 6, 7])
    #expect(!isIncomplete(book))
  }

  @Test func aFullBookFitsIntoOneMessage() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let name = String(repeating: "n", count: 128)
    var excess = 0
    for index in 0..<512 {
      let service = String(repeating: "s", count: 62) + String(index % 64)
      let stream = try book.open(instance(service, name, index + 1), now: start)
      // Short series waste the most on what frames them, long ones fill the book.
      let series =
        (0..<100).map { counter("a\($0)", 1) } + (0..<20).map { counter("\(name.dropLast(2))\($0)", 1) }
        + (0..<8).map { histogram("h\($0)", (0..<43).map { 1 << $0 }) }
      excess += book.record(report(series, dropped: .max), from: stream, now: start).excess
      if index % 3 == 0 { book.close(stream, saidGoodbye: index % 2 == 0) }
    }
    #expect(excess > 0)
    let later = start.advanced(by: .seconds(300))
    let bytes = try book.snapshot(now: later, at: Timestamp(rawValue: .max)).protobufBytes()
    #expect(bytes.count > 1 << 20)
    #expect(bytes.count < 4 << 20 - 64)
  }

  @Test func malformedMetricsAreCounted() throws {
    var book = MetricsBook(limits: .init(), now: start)
    let stream = try book.open(instance("signer", "s-1", 1), now: start)
    var unknownKind = counter("n_total", 1)
    unknownKind.kind = .unrecognized(9)
    func altered(_ change: (inout ChanceryV1.Histogram) -> Void) -> ChanceryV1.Metric {
      var metric = histogram("h_seconds", [1, 2])
      change(&metric.histogram!)
      return metric
    }
    var noHistogram = histogram("h_seconds", [1])
    noHistogram.histogram = nil
    let malformed = [
      noHistogram, altered { $0.indices = [2, 1] }, altered { $0.indices = [1] }, altered { $0.indices = [1, 2432] },
      altered { $0.counts = [1, 0] }, altered { $0.count = 3 }, altered { $0.sum = .nan }, altered { $0.sum = -1 },
      altered { $0.sum = 1e301 },
      gauge("", 1), gauge(String(repeating: "x", count: 129), 1), gauge("g", .nan), gauge("g", .infinity),
      gauge("g", -1e301), unknownKind,
      gauge("g", 1, ["": "x"]), gauge("g", 1, ["k": String(repeating: "x", count: 257)]),
    ]
    let dropped = book.record(report(malformed + [gauge("g", 1)]), from: stream, now: start)
    #expect(dropped == .init(malformed: malformed.count))
    #expect(sum("g", book) == 1)
  }

  @Test(arguments: [
    (nil, "instance is missing"), (ChanceryV1.ServiceInstance(), "instance.service"),
    (ChanceryV1.ServiceInstance(service: "signer", incarnation: "seven"), "'seven' is not a UUID"),
    (ChanceryV1.ServiceInstance(service: "s", name: String(repeating: "x", count: 129)), "instance.name"),
  ])
  func identityIsChecked(_ instance: ChanceryV1.ServiceInstance?, _ complaint: String) throws {
    var book = MetricsBook(limits: .init(), now: start)
    let error = #expect(throws: RPCError.self) { try book.open(instance, now: start) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(complaint) == true)
  }

  /// A random life of many incarnations against the plainest model there is: the last value that each of them told.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func sumsAgreeWithAModel(seed: UInt64) throws {
    let random = SeededRandom(seed: seed)
    var limits = LoggerOptions.MetricLimits()
    limits.incarnations = 6
    limits.recollection = 40
    var book = MetricsBook(limits: limits, now: start)
    var told = [Double](repeating: 0, count: 30)
    var streams = [MetricsBook.Stream?](repeating: nil, count: 30)
    var ended = Set<Int>()
    for step in 0..<2000 {
      let who = random.next(below: 30)
      let now = start.advanced(by: .seconds(step))
      if ended.contains(who) { continue }
      if let stream = streams[who] {
        switch random.next(below: 10) {
        case 0:
          book.close(stream, saidGoodbye: true)
          streams[who] = nil
          ended.insert(who)
        case 1...2:
          book.close(stream, saidGoodbye: false)
          streams[who] = nil
        default:
          told[who] += Double(random.next(below: 100))
          _ = book.record(report(counter("n_total", told[who])), from: stream, now: now)
        }
      } else if let stream = try? book.open(instance("signer", "s-\(who % 7)", who + 1), now: now) {
        streams[who] = stream
        _ = book.record(report(counter("n_total", told[who])), from: stream, now: now)
      }
      book.sweep(now: now)
      #expect(sum("n_total", book) == told.reduce(0, +), "step \(step)")
    }
    #expect(ended.count > 5)
  }
}

// MARK: - Shorthand

extension MetricsBookTests {
  private func isIncomplete(
    _ book: MetricsBook, after age: Duration = .zero, recent: [MetricsBook.Stream] = []
  ) -> Bool {
    var book = book
    let now = start.advanced(by: age)
    for incarnation in book.incarnations.values where !recent.isEmpty {
      let stream = MetricsBook.Stream(incarnation: incarnation.id, token: incarnation.stream ?? 0)
      _ = book.record(report(), from: stream, now: now)
    }
    return book.snapshot(now: now, at: Timestamp(rawValue: 0)).incomplete
  }

  private func sum(_ name: String, _ book: MetricsBook) -> Double {
    book.snapshot(now: start, at: Timestamp(rawValue: 0)).sum(of: name)
  }
}
