import RPC
import Schema
import Synchronization
import TimeAndChance

/// Takes in telemetry as Logger does, and remembers each stream.
final class LoggerDouble: ChanceryV1.Telemetry.Service {
  private let state = Mutex<[[ChanceryV1.TelemetryReport]]>([])
  private let eventsTaken: Int
  private let error: RPCError?

  /// Ends a stream after `eventsTaken` events, as a Logger that drains does; refuses all with `error`.
  init(eventsTaken: Int = .max, error: RPCError? = nil) {
    self.eventsTaken = eventsTaken
    self.error = error
  }

  var streams: [[ChanceryV1.TelemetryReport]] { state.withLock { $0 } }
  var reports: [ChanceryV1.TelemetryReport] { streams.flatMap(\.self) }
  var eventNames: [String] { reports.flatMap(\.events).map(\.name) }

  func report(
    _ requests: RPCReader<ChanceryV1.TelemetryReport>, context: ServerContext
  ) async throws -> ChanceryV1.TelemetrySummary {
    if let error { throw error }
    let index = state.withLock { streams in
      streams.append([])
      return streams.count - 1
    }
    var summary = ChanceryV1.TelemetrySummary()
    while Int(summary.events) < eventsTaken {
      guard let report = try await requests.next() else { break }
      state.withLock { $0[index].append(report) }
      summary.reports += 1
      summary.events += UInt64(report.events.count)
    }
    return summary
  }
}
