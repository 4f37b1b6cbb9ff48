import Storage
import Telemetry
import TimeAndChance

/// What Logger does to the store again and again, and tries anew when it fails.
struct StoreChore: Sendable {
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let backoff: Backoff
  /// The event that tells of the first failure of several.
  let failure: String
  /// What counts all of them; nil for nothing.
  var failures: MetricName?

  /// Does `step` until the task is cancelled, each time after the pause that the one before has asked for.
  func run(_ step: () async throws(StorageError) -> Duration) async {
    var attempt = 0
    while !Task.isCancelled {
      let pause: Duration
      do throws(StorageError) {
        pause = try await step()
        attempt = 0
      } catch {
        if Task.isCancelled { return }
        if attempt == 0 { observer.event(.warning, failure, "trying again: \(error)", [:]) }
        if let failures { observer.count(failures) }
        pause = backoff.delay(attempt: attempt, random: random)
        attempt += 1
      }
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: pause)
    }
  }
}
