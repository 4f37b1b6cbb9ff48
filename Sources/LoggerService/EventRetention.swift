import Storage
import Telemetry
import TimeAndChance

/// Drops the days of events that are not kept any longer, and makes room for the next day in time.
struct EventRetention: Sendable {
  let store: any EventStore
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let options: LoggerOptions

  /// Runs until the task is cancelled.
  func run() async {
    var attempt = 0
    while !Task.isCancelled {
      var pause = options.retentionInterval
      do throws(StorageError) {
        let dropped = try await store.retainEvents(days: options.retentionDays)
        attempt = 0
        if dropped > 0 {
          observer.count("chancery_logger_event_partitions_dropped_total", by: Double(dropped))
          observer.event(
            .info, "events.expired", "dropped the events of \(dropped) days: \(options.retentionDays) are kept", [:])
        }
      } catch {
        if Task.isCancelled { return }
        if attempt == 0 { observer.event(.warning, "logger.retention_failed", "trying again: \(error)", [:]) }
        pause = options.storeBackoff.delay(attempt: attempt, random: random)
        attempt += 1
      }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: pause)
    }
  }
}
