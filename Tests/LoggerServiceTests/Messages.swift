import Schema
import Telemetry
import Translation

func instance(_ service: String, _ name: String, _ incarnation: Int) -> ChanceryV1.ServiceInstance {
  let digits = String(incarnation)
  let tail = String(repeating: "0", count: 12 - digits.count) + digits
  return ChanceryV1.ServiceInstance(
    service: service, name: name, incarnation: "00000000-0000-4000-8000-\(tail)", version: "1.0")
}

func counter(_ name: String, _ value: Double, _ labels: [String: String] = [:]) -> ChanceryV1.Metric {
  metric(name, value, labels, .counter)
}

func gauge(_ name: String, _ value: Double, _ labels: [String: String] = [:]) -> ChanceryV1.Metric {
  metric(name, value, labels, .gauge)
}

/// A histogram of times in microseconds.
func histogram(_ name: String, _ times: [UInt64], _ labels: [String: String] = [:]) -> ChanceryV1.Metric {
  var metric = metric(name, 0, labels, .histogram)
  var histogram = HDRHistogram()
  for time in times { histogram.record(time) }
  metric.histogram = histogram.message
  return metric
}

private func metric(
  _ name: String, _ value: Double, _ labels: [String: String], _ kind: ChanceryV1.MetricKind
) -> ChanceryV1.Metric {
  let labels = labels.sorted { $0.key < $1.key }.map { ChanceryV1.Label(name: $0.key, value: $0.value) }
  return ChanceryV1.Metric(name: name, labels: labels, kind: kind, value: value)
}

func report(_ metrics: ChanceryV1.Metric..., dropped: UInt64 = 0) -> ChanceryV1.TelemetryReport {
  ChanceryV1.TelemetryReport(metrics: metrics, eventsDropped: dropped)
}

func report(_ metrics: [ChanceryV1.Metric], dropped: UInt64 = 0) -> ChanceryV1.TelemetryReport {
  ChanceryV1.TelemetryReport(metrics: metrics, eventsDropped: dropped)
}

func event(_ name: String, at: Int64 = 1_700_000_000_000_000) -> ChanceryV1.Event {
  ChanceryV1.Event(
    atUs: at, level: .warning, name: name, message: "it happened", attributes: [.init(name: "batch", value: "7")])
}

extension ChanceryV1.MetricsSnapshot {
  func sum(of name: String) -> Double {
    services.flatMap(\.metrics).filter { $0.name == name }.reduce(0) { $0 + $1.value }
  }
}
