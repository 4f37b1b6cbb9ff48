import Synchronization
public import Telemetry

/// Remembers what it is told.
public final class RecordingObserver: Observer {
  private struct State {
    var counters: [String: Double] = [:]
    var gauges: [String: Double] = [:]
    var durations: [String: [Duration]] = [:]
    var events: [(name: String, text: String)] = []
  }

  private let state = Mutex(State())

  /// An observer that was told nothing.
  public init() {}

  /// Adds.
  public func count(_ name: MetricName, _ labels: MetricLabels, by amount: Double) {
    state.withLock { $0.counters[Self.key(name, labels), default: 0] += amount }
  }

  /// Sets.
  public func gauge(_ name: MetricName, _ labels: MetricLabels, to value: Double) {
    state.withLock { $0.gauges[Self.key(name, labels)] = value }
  }

  /// Appends the times.
  public func record(_ name: MetricName, _ labels: MetricLabels, times: [Duration]) {
    state.withLock { $0.durations[Self.key(name, labels), default: []] += times }
  }

  /// Appends the event.
  public func event(_ level: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String]) {
    let text = attributes.sorted { $0.key < $1.key }.reduce(message) { "\($0) \($1.key)=\($1.value)" }
    state.withLock { $0.events.append((name, text)) }
  }

  /// The value of a counter, 0 if it was never counted: `counter("dropped_total", ["reason": "overflow"])`.
  public func counter(_ name: MetricName, _ labels: MetricLabels = [:]) -> Double {
    state.withLock { $0.counters[Self.key(name, labels)] ?? 0 }
  }

  /// The value of a gauge; nil if it was never set.
  public func gauge(_ name: MetricName, _ labels: MetricLabels = [:]) -> Double? {
    state.withLock { $0.gauges[Self.key(name, labels)] }
  }

  /// The times that were recorded, in order.
  public func durations(_ name: MetricName, _ labels: MetricLabels = [:]) -> [Duration] {
    state.withLock { $0.durations[Self.key(name, labels)] ?? [] }
  }

  /// The names of the events, in order.
  public var events: [String] { state.withLock { $0.events.map(\.name) } }

  /// Messages and attributes of the events, in order.
  public var eventTexts: [String] { state.withLock { $0.events.map(\.text) } }

  private static func key(_ name: MetricName, _ labels: MetricLabels) -> String {
    name.rawValue + labels.sorted { $0.key < $1.key }.map { "/\($0.key)=\($0.value)" }.joined()
  }
}
