import RPC
import Schema
import TimeAndChance

/// Serves `chancery.v1.Telemetry`.
struct TelemetryEndpoint: ChanceryV1.Telemetry.Service {
  let logger: LoggerCore

  func report(
    _ requests: RPCReader<ChanceryV1.TelemetryReport>, context: ServerContext
  ) async throws -> ChanceryV1.TelemetrySummary {
    if logger.stopping.isOpen { throw LoggerCore.stopped }
    return try await logger.stopping.cancelling { try await take(requests) }
  }

  /// Takes reports in until the reporter says goodbye, its stream breaks, or Logger stops: then those that have arrived
  /// are still taken, and the summary tells the reporter which.
  private func take(_ requests: RPCReader<ChanceryV1.TelemetryReport>) async throws -> ChanceryV1.TelemetrySummary {
    var summary = ChanceryV1.TelemetrySummary()
    var open: (stream: MetricsBook.Stream, instance: ChanceryV1.ServiceInstance)?
    var saidGoodbye = false
    defer { if let open { logger.close(open.stream, saidGoodbye: saidGoodbye) } }
    do throws(RPCError) {
      while let report = try await requests.next() {
        if open == nil {
          // Opening has checked that there is an instance.
          open = (try logger.open(report.instance), report.instance!)
        }
        logger.take(report, of: open!.instance, on: open!.stream)
        summary.reports += 1
        summary.events += UInt64(report.events.count)
      }
      saidGoodbye = true
    } catch {
      let wasCutHere = error.code == .cancelled && logger.stopping.isOpen
      if !wasCutHere { throw error }
    }
    return summary
  }
}

extension LoggerCore {
  static let stopped = RPCError(.unavailable, "logger is stopping")
}
