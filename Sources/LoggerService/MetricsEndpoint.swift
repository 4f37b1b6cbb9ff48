import RPC
import Schema
import TimeAndChance

/// Serves `chancery.v1.Metrics`.
struct MetricsEndpoint: ChanceryV1.Metrics.Service {
  /// What a caller may ask for, in milliseconds.
  static let intervals: ClosedRange<UInt32> = 100...60_000

  /// How far back a caller may look, in seconds.
  static let durations: ClosedRange<UInt32> = 1...900

  let logger: LoggerCore

  func get(
    _ request: ChanceryV1.GetMetricsRequest, context: ServerContext
  ) async throws -> ChanceryV1.MetricsSnapshot { logger.snapshot() }

  func watch(
    _ request: ChanceryV1.WatchMetricsRequest, replies: RPCWriter<ChanceryV1.MetricsSnapshot>, context: ServerContext
  ) async throws {
    let milliseconds = request.intervalMs == 0 ? 1000 : request.intervalMs
    guard Self.intervals.contains(milliseconds) else {
      throw RPCError(
        .invalidArgument, "interval_ms \(milliseconds) is outside \(Self.intervals); leave it out for 1000")
    }
    if logger.stopping.isOpen { throw LoggerCore.stopped }
    do {
      try await logger.stopping.cancelling { try await send(every: .milliseconds(milliseconds), to: replies) }
    } catch  where logger.stopping.isOpen {
      throw LoggerCore.stopped
    }
  }

  func range(
    _ request: ChanceryV1.MetricsRangeRequest, context: ServerContext
  ) async throws -> ChanceryV1.MetricsRange {
    guard !request.name.isEmpty else { throw RPCError(.invalidArgument, "name is missing: which metric?") }
    guard Self.durations.contains(request.durationS) else {
      throw RPCError(.invalidArgument, "duration_s \(request.durationS) is outside \(Self.durations)")
    }
    guard request.matching.count <= 16, request.by.count <= 8 else {
      throw RPCError(
        .invalidArgument,
        "matching may have 16 labels, not \(request.matching.count), and by 8, not \(request.by.count)")
    }
    return logger.range(request)
  }

  /// Takes a snapshot only when the one before it has been sent: a watcher that is behind skips intervals. All watchers send
  /// at the beginning of a tick, so that they share its snapshot.
  private func send(every interval: Duration, to replies: RPCWriter<ChanceryV1.MetricsSnapshot>) async throws {
    var next = logger.tickStart
    while true {
      try await replies.write(logger.sharedSnapshot())
      let now = logger.clock.now
      repeat { next = next.advanced(by: interval) } while next <= now
      try await logger.clock.sleep(until: next, tolerance: nil)
    }
  }
}
