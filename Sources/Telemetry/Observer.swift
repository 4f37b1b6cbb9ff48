public import TimeAndChance

/// Where services put what can be seen of them from outside: numbers and events. Given to a service as a parameter, so that
/// a simulator can record them and a benchmark can leave them out.
///
/// All methods return at once and never fail: a slow or dead receiver must not slow a service.
public protocol Observer: Sendable {
  /// Adds to a counter, which starts at zero with the process.
  func count(_ name: MetricName, _ labels: MetricLabels, by amount: Double)

  /// Sets a value that rises and falls.
  func gauge(_ name: MetricName, _ labels: MetricLabels, to value: Double)

  /// Adds times to a histogram, in the order in which they were taken.
  func record(_ name: MetricName, _ labels: MetricLabels, times: [Duration])

  /// Something happened. `attributes` are ids and numbers, never payload or key material.
  func event(_ level: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String])
}

extension Observer {
  /// Adds one to a counter.
  public func count(_ name: MetricName, _ labels: MetricLabels = [:]) { count(name, labels, by: 1) }

  /// Adds to a counter without labels.
  public func count(_ name: MetricName, by amount: Double) { count(name, [:], by: amount) }

  /// Sets a value without labels.
  public func gauge(_ name: MetricName, to value: Double) { gauge(name, [:], to: value) }

  /// Adds a time to a histogram.
  public func record(_ name: MetricName, _ labels: MetricLabels = [:], time: Duration) {
    record(name, labels, times: [time])
  }

  /// Adds to a histogram how long `body` takes, whether it succeeds or not.
  public func timing<Value, Failure>(
    _ name: MetricName, _ labels: MetricLabels = [:], _ clock: any ServiceClock,
    _ body: () async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let started = clock.now
    defer { record(name, labels, time: started.duration(to: clock.now)) }
    return try await body()
  }
}

/// The name of a metric as Prometheus writes it, with its unit, such as `chancery_records_signed_total`.
public struct MetricName: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
  /// The name.
  public let rawValue: String

  /// Wraps a name.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// A name written in code.
  public init(stringLiteral value: String) { rawValue = value }
}

/// Particulars of a metric, by name. Never a record id: every combination is kept for the life of the process, but for those of
/// a `job` or `key`, of which there are ever new ones: these make room for others when nothing was told of them for longest.
public typealias MetricLabels = [String: String]

extension MetricLabels {
  /// The labels that name what passes.
  public static let passing: Set<String> = ["job", "key"]
}

/// How serious an event is.
public enum EventSeverity: String, Sendable, Hashable, CaseIterable, Comparable {
  /// For finding faults.
  case debug
  /// The normal course of things.
  case info
  /// Something to look at.
  case warning
  /// Something failed.
  case error

  /// From debug up to error.
  public static func < (left: EventSeverity, right: EventSeverity) -> Bool {
    allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
  }
}

/// Sees nothing.
public struct NoObserver: Observer {
  /// Makes one.
  public init() {}
  /// Ignored.
  public func count(_ name: MetricName, _ labels: MetricLabels, by amount: Double) {}
  /// Ignored.
  public func gauge(_ name: MetricName, _ labels: MetricLabels, to value: Double) {}
  /// Ignored.
  public func record(_ name: MetricName, _ labels: MetricLabels, times: [Duration]) {}
  /// Ignored.
  public func event(_ level: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String]) {}
}
