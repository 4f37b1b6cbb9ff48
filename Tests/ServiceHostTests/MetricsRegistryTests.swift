import Domain
import Logging
import Schema
import Telemetry
import Testing

@testable import ServiceHost

/// A registry adds up what it is told, shows it as Prometheus reads it, tells what has changed since a look, and counts what is
/// beyond its bounds instead of growing.
@Suite struct MetricsRegistryTests {
  private func dropped(_ registry: MetricsRegistry, _ what: String) -> Double? {
    registry.snapshot().first { $0.name == MetricsRegistry.droppedName && $0.labels == ["what": what] }?.value
  }

  @Test func exposition() {
    let registry = MetricsRegistry(logger: silence)
    #expect(registry.exposition() == "")
    registry.count("chancery_leases_granted_total", ["algorithm": "ed25519"])
    registry.count("chancery_leases_granted_total", ["algorithm": "ecdsa-p256"], by: 2.5)
    registry.count("chancery_leases_granted_total", ["algorithm": "ed25519"], by: 41)
    registry.gauge("chancery_keys_free", to: -3)
    registry.gauge("chancery_keys_free", to: 1e300)
    registry.gauge("odd", ["b": "quote\" back\\slash new\nline é", "a": ""], to: 0.1)
    registry.describe([MetricDescription("odd", "A \"help\" with \\ and\na line")])
    #expect(
      registry.exposition() == #"""
        # HELP chancery_keys_free Keys free
        # TYPE chancery_keys_free gauge
        chancery_keys_free 1e+300
        # HELP chancery_leases_granted_total Leases granted
        # TYPE chancery_leases_granted_total counter
        chancery_leases_granted_total{algorithm="ecdsa-p256"} 2.5
        chancery_leases_granted_total{algorithm="ed25519"} 42
        # HELP odd A "help" with \\ and\na line
        # TYPE odd gauge
        odd{a="",b="quote\" back\\slash new\nline é"} 0.1

        """#)
  }

  @Test func oddNumbers() {
    let registry = MetricsRegistry(logger: silence)
    let odd = [Double.nan, .infinity, -.infinity, -0.0, 1e21, 0.1, 9_007_199_254_740_994].enumerated().map {
      index, value in
      MetricSample(name: "odd", labels: ["i": "\(index)"], kind: .gauge, value: value)
    }
    #expect(
      registry.exposition(with: odd) == """
        # HELP odd Odd
        # TYPE odd gauge
        odd{i="0"} NaN
        odd{i="1"} +Inf
        odd{i="2"} -Inf
        odd{i="3"} 0
        odd{i="4"} 1e+21
        odd{i="5"} 0.1
        odd{i="6"} 9007199254740994

        """)
  }

  @Test func whatIsDescribedIsThereFromTheStart() {
    let registry = MetricsRegistry(logger: silence)
    registry.count("a_total", ["l": "x"], by: 2)
    registry.describe([.counter("a_total", "A", series: [["l": "x"], ["l": "y"]]), MetricDescription("g", "G")])
    // A gauge is what it was last told, so it is not there before.
    #expect(
      registry.exposition() == "# HELP a_total A\n# TYPE a_total counter\na_total{l=\"x\"} 2\na_total{l=\"y\"} 0\n")
  }

  @Test func whatIsInvalidIsDroppedAndCounted() {
    let registry = MetricsRegistry(logger: silence)
    registry.count("n_total", by: -1)
    registry.count("n_total", by: .infinity)
    registry.gauge("g", to: .nan)
    for name in ["", "1n", "a-b", "é", "a b", String(repeating: "n", count: 129)] {
      registry.count(MetricName(rawValue: name))
    }
    for label in ["", "1a", "a-b", "__own", "é", String(repeating: "l", count: 65)] {
      registry.count("n_total", [label: "x"])
    }
    registry.count("n_total", ["a": String(repeating: "v", count: 257)])
    registry.count("n_total", ["a": "\0"])
    registry.count("n_total", Dictionary(uniqueKeysWithValues: (0..<9).map { ("l\($0)", "x") }))
    #expect(registry.snapshot().map(\.name) == [MetricsRegistry.droppedName])
    #expect(dropped(registry, "invalid") == 18)
    registry.count("n_total")
    // A name means one kind.
    registry.gauge("n_total", to: 7)
    #expect(dropped(registry, "invalid") == 19)
    #expect(registry.snapshot().last?.value == 1)
  }

  @Test func bounds() {
    var limits = MetricsRegistry.Limits()
    (limits.names, limits.labelSets) = (3, 2)
    let registry = MetricsRegistry(logger: silence, limits: limits)
    for name in 0..<5 { registry.count(MetricName(rawValue: "n\(name)_total")) }
    for label in 0..<5 { registry.gauge("n0_total", ["l": "\(label)"], to: 1) }
    for label in 0..<5 { registry.count("n1_total", ["l": "\(label)"]) }
    // What is known goes on.
    registry.count("n2_total")
    #expect(dropped(registry, "names") == 2)
    #expect(dropped(registry, "label_sets") == 4)
    #expect(dropped(registry, "invalid") == 5)
    let known = registry.snapshot().filter { $0.name != MetricsRegistry.droppedName }
    #expect(known.map(\.value) == [1, 1, 1, 2])
  }

  @Test func jobsAndKeysMakeRoomForNewerOnes() {
    var limits = MetricsRegistry.Limits()
    limits.labelSets = 2
    let registry = MetricsRegistry(logger: silence, limits: limits)
    for key in ["1", "2", "1", "3"] {
      registry.count("n_total", ["key": key])
      _ = registry.changes(since: 0)
    }
    #expect(registry.snapshot().map(\.labels) == [["key": "1"], ["key": "3"]])
    #expect(registry.snapshot().map(\.value) == [2, 1])
    registry.count("n_total", ["key": "2"])
    #expect(registry.snapshot().map(\.labels) == [["key": "2"], ["key": "3"]])
    #expect(registry.snapshot().map(\.value) == [1, 1])
    #expect(dropped(registry, "label_sets") == nil)
  }

  @Test func changesAreToldOnce() {
    let registry = MetricsRegistry(logger: silence)
    registry.count("a_total")
    registry.count("b_total")
    var (samples, next) = registry.changes(since: 0)
    #expect(samples.map(\.name) == ["a_total", "b_total"])
    (samples, next) = registry.changes(since: next)
    #expect(samples.isEmpty)
    registry.count("b_total")
    (samples, next) = registry.changes(since: next)
    #expect(samples.map(\.name) == ["b_total"] && samples.map(\.value) == [2])
    (samples, _) = registry.changes(since: 0)
    #expect(samples.map(\.value) == [1, 2])
  }

  @Test func timesAreHistograms() {
    let registry = MetricsRegistry(logger: silence)
    registry.record("t_seconds", ["k": "v"], times: [.microseconds(90), .milliseconds(3), .milliseconds(400)])
    registry.record("t_seconds", ["k": "v"], time: .seconds(20))
    registry.record("t_seconds", ["k": "none"], times: [])
    // A name means one kind.
    registry.count("t_seconds", ["k": "v"])
    #expect(dropped(registry, "invalid") == 1)
    let lines = registry.exposition().split(separator: "\n").filter { $0.hasPrefix("t_seconds") }
    let below = ["0.0001": 1, "0.0025": 1, "0.005": 2, "0.5": 3, "10.0": 3, "+Inf": 4]
    for (bound, count) in below { #expect(lines.contains("t_seconds_bucket{le=\"\(bound)\",k=\"v\"} \(count)")) }
    #expect(lines.suffix(2) == ["t_seconds_count{k=\"v\"} 4", "t_seconds_sum{k=\"v\"} 20.40309"])
    let (samples, next) = registry.changes(since: 0)
    #expect(samples.last?.message.histogram?.count == 4 && samples.last?.message.kind == .histogram)
    #expect(registry.changes(since: next).samples.isEmpty)
  }

  @Test func eventsAreLoggedQueuedAndCut() async throws {
    var limits = MetricsRegistry.Limits()
    limits.events = 3
    let lines = try await capture { output in
      let log = LogConfiguration(level: .debug, format: .json, output: output)
      let registry = MetricsRegistry(
        logger: log.makeLogger(service: "s", instance: "i"), limits: limits,
        wallClock: { Timestamp(rawValue: 5) })
      registry.event(.debug, "only.logged", "d", [:])
      registry.event(.warning, "first", String(repeating: "é", count: 2000) + "\0", ["b": "2", "a": "\0"])
      let attributes = Dictionary(uniqueKeysWithValues: (0..<30).map { ("k\($0)", String(repeating: "v", count: 300)) })
      registry.event(.error, String(repeating: "n", count: 300), "m", attributes)
      for _ in 0..<4 { registry.event(.info, "more", "m", [:]) }

      let events = registry.pendingEvents()
      #expect(events.map(\.level) == [.warning, .error, .info] && events[0].name == "first" && events[0].atUs == 5)
      #expect(events[0].message == String(repeating: "é", count: 1024))
      #expect(events[0].attributes == [.init(name: "a", value: "\u{FFFD}"), .init(name: "b", value: "2")])
      #expect(events[1].name.utf8.count == 256 && events[1].attributes.count == 24)
      #expect(events[1].attributes.allSatisfy { $0.value.utf8.count == 256 })
      #expect(registry.eventsDropped == 3)
      registry.removeEvents(2)
      #expect(registry.pendingEvents().map(\.name) == ["more"] && registry.pendingEvents(after: 1).isEmpty)
      registry.event(.info, "again", "m", [:])
      #expect(registry.pendingEvents().map(\.name) == ["more", "again"] && registry.eventsDropped == 3)
    }
    #expect(lines.count == 8)
    #expect(lines[0].contains(#""event":"only.logged""#) && lines[0].contains(#""level":"debug""#))
  }
}
