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
    let chore = StoreChore(
      clock: clock, random: random, observer: observer, backoff: options.storeBackoff,
      failure: "logger.retention_failed")
    await chore.run { () async throws(StorageError) in
      let dropped = try await store.retainEvents(days: options.retentionDays)
      if dropped > 0 {
        observer.count("chancery_logger_event_partitions_dropped_total", by: Double(dropped))
        observer.event(
          .info, "events.expired", "dropped the events of \(dropped) days: \(options.retentionDays) are kept", [:])
      }
      return options.retentionInterval
    }
  }
}
