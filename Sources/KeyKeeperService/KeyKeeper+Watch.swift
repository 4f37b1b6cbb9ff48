import Domain
import Storage
import Telemetry
import TimeAndChance

extension KeyKeeper {
  /// Tells the observer how many callers wait here, and how many keys are free and leased in all, every few seconds until the
  /// task is cancelled. Nothing else depends on it.
  public func watchKeys() async {
    while !Task.isCancelled {
      for algorithm in SignatureAlgorithm.allCases {
        let labels = ["algorithm": algorithm.name]
        context.observer.gauge("chancery_acquires_waiting", labels, to: Double(lines[algorithm].waiterCount))
        do throws(StorageError) {
          // A cache that must be rebuilt is rebuilt when somebody wants a key.
          guard let occupancy = try await context.cache.occupancy(algorithm) else { continue }
          context.observer.gauge("chancery_keys_free", labels, to: Double(occupancy.free))
          context.observer.gauge("chancery_keys_leased", labels, to: Double(occupancy.leased))
        } catch {
          // Whoever needs the cache for more says so; the numbers stay as they were.
          context.observer.event(.debug, "keys.unknown", error.message, ["algorithm": algorithm.name])
        }
      }
      // Ends early only when the task is cancelled.
      try? await context.clock.sleep(for: context.configuration.watchInterval)
    }
  }
}
