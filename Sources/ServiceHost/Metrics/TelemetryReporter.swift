public import RPC
public import Schema
import Telemetry
public import TimeAndChance

/// Tells Logger what a process keeps in its registry: one stream, on it a report every interval.
///
/// `run` must run for it. A service never waits for it: numbers are cumulative, so the first report of a new stream
/// makes up for whatever was lost with the last. Events wait in the registry's bounded queue until the report after
/// theirs could be sent, or Logger has said that it took them; those of a stream that broke before are sent again and
/// may arrive twice.
public final class TelemetryReporter: Sendable {
  /// The times of a reporter.
  public struct Options: Sendable {
    /// The time between two reports.
    public var interval: Duration = .milliseconds(500)
    /// How long `flush` waits for Logger.
    public var flushTimeout: Duration = .seconds(2)
    /// The pauses between attempts to open a stream.
    public var backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(5))

    /// The defaults.
    public init() {}
  }

  /// The pauses of the channel: short enough that it connects once more while `flush` waits.
  static let channelBackoff = Backoff(initial: .milliseconds(100), maximum: .seconds(1))
  /// The most metrics in one message: as many histograms as large as they can be are below the frame limit.
  static let metricsPerReport = 100
  /// The most events in one message.
  static let eventsPerReport = 200

  /// How far a stream is.
  private struct Progress {
    var hasReported = false
    var eventsSent: UInt64 = 0
    /// How many of the events sent are still at the head of the registry's queue.
    var unconfirmed = 0
    /// Whether everything was sent that there was to tell at the end.
    var isComplete = false
  }

  private let instance: ChanceryV1.ServiceInstance
  private let registry: MetricsRegistry
  private let logger: ChanceryV1.Telemetry.Client
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let options: Options
  private let stopping = Latch()
  private let stopped = Latch()

  /// A reporter of `registry`, which has no other, over `channel`, which its owner runs.
  public init(
    instance: ChanceryV1.ServiceInstance, registry: MetricsRegistry, channel: any RPCChannel,
    clock: any ServiceClock = ContinuousClock(), random: any RandomSource = SystemRandom(), options: Options = Options()
  ) {
    self.instance = instance
    self.registry = registry
    logger = ChanceryV1.Telemetry.Client(channel)
    self.clock = clock
    self.random = random
    self.options = options
  }

  /// Reports until the task is cancelled, or `flush` was called and Logger has taken everything or refuses it.
  public func run() async {
    defer { stopped.open() }
    var attempt = 0
    while !Task.isCancelled {
      let isLast = stopping.isOpen
      var progress = Progress()
      do {
        // The last time there is no other attempt to rely on: `flush` says how long to wait.
        let summary = try await logger.report(options: CallOptions(waitForReady: isLast)) { writer in
          try await self.report(to: writer, &progress)
        }
        // A Logger that stops ends the stream early, and says what it took; the rest is for its successor.
        let missing = Int(progress.eventsSent - min(progress.eventsSent, summary.events))
        registry.removeEvents(max(0, progress.unconfirmed - missing))
        registry.addDroppedEvents(UInt64(max(0, missing - progress.unconfirmed)))
        if progress.isComplete && missing == 0 { return }
      } catch {
        let mayPass = (error as? RPCError)?.isRetryable ?? false
        if Task.isCancelled || isLast && !mayPass { return }
        if attempt == 0 || progress.hasReported {
          registry.event(.warning, "telemetry.stream_lost", "Logger does not take reports: \(error)", [:])
        }
      }
      attempt = progress.hasReported ? 0 : attempt + 1
      let delay = options.backoff.delay(attempt: attempt, random: random)
      // Cut short only by cancellation, which ends the loop.
      if isLast { try? await clock.sleep(for: delay) } else { await pause(delay) }
    }
  }

  /// Sends what there is to tell and says goodbye. Returns when that is done, at the latest after the flush timeout,
  /// after which `run` is to be cancelled.
  public func flush() async {
    stopping.open()
    _ = await clock.run(atMost: options.flushTimeout) { await self.stopped.wait() }
  }

  /// Reports on one stream until it breaks or the reporter is to stop.
  private func report(
    to writer: RPCWriter<ChanceryV1.TelemetryReport>, _ progress: inout Progress
  ) async throws {
    var revision: UInt64 = 0
    while true {
      let isLast = stopping.isOpen
      try await sendChanges(since: &revision, to: writer, &progress)
      progress.isComplete = isLast
      if isLast { return }
      await pause(options.interval)
      try Task.checkCancellation()
    }
  }

  /// Sends what has changed, also when that is nothing: the report says that the service lives.
  private func sendChanges(
    since revision: inout UInt64, to writer: RPCWriter<ChanceryV1.TelemetryReport>, _ progress: inout Progress
  ) async throws {
    let (samples, next) = registry.changes(since: revision)
    var metrics = samples.map(\.message)[...]
    var events = registry.pendingEvents(after: progress.unconfirmed)[...]
    var confirmed = progress.unconfirmed
    repeat {
      let batch = Array(events.prefix(Self.eventsPerReport))
      try await writer.write(
        ChanceryV1.TelemetryReport(
          instance: progress.hasReported ? nil : instance, metrics: Array(metrics.prefix(Self.metricsPerReport)),
          events: batch, eventsDropped: registry.eventsDropped))
      // The stream still takes reports, so what was sent an interval ago has arrived.
      registry.removeEvents(confirmed)
      progress.unconfirmed += batch.count - confirmed
      progress.eventsSent += UInt64(batch.count)
      progress.hasReported = true
      confirmed = 0
      metrics = metrics.dropFirst(Self.metricsPerReport)
      events = events.dropFirst(Self.eventsPerReport)
    } while !metrics.isEmpty || !events.isEmpty
    revision = next
  }

  /// Sleeps, unless the reporter is to stop.
  private func pause(_ duration: Duration) async {
    // Ends early only when the reporter is to stop or the task is cancelled; the caller looks which.
    _ = try? await stopping.cancelling { try await self.clock.sleep(for: duration) }
  }
}
