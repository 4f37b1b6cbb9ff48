import Domain
import Storage
import Telemetry
import TimeAndChance

/// What the parts of a KeyKeeper share.
struct KeeperContext: Sendable {
  let store: any KeyStore
  let cache: any LeaseCache
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let configuration: KeyKeeperConfiguration
  let activity: Activity

  /// Repeats a step that may succeed if it is repeated, with growing pauses. An unknown outcome is repeated too: all steps
  /// that are tried in this way have the effect of one.
  func trying<Value>(
    _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    var attempt = 0
    while true {
      do throws(StorageError) {
        return try await body()
      } catch {
        attempt += 1
        guard error.mayPass, attempt < configuration.attempts, !Task.isCancelled else { throw error }
        observer.count("chancery_store_retries_total", ["code": error.code.rawValue])
        await pause(attempt)
      }
    }
  }

  /// Waits before attempt `attempt`; returns early when the task is cancelled.
  func pause(_ attempt: Int) async {
    try? await clock.sleep(for: backoff(attempt))
  }

  /// A name for a lease.
  func newLeaseID() -> LeaseID {
    guard let id = LeaseID(bytes: random.nextUUID()) else { preconditionFailure("a UUID has 16 bytes") }
    return id
  }

  /// A duration changed by up to a fifth, so that processes which began together do not stay together.
  func jittered(_ duration: Duration) -> Duration { duration * random.next(in: 0.8...1.2) }

  /// How long to wait after the failure number `attempt` in a row.
  func backoff(_ attempt: Int) -> Duration {
    configuration.backoff.delay(attempt: attempt - 1, random: random)
  }
}

extension StorageError {
  /// Whether a step that has the effect of one if it is repeated may succeed then.
  var mayPass: Bool { code == .unavailable || code == .outcomeUnknown }
}
