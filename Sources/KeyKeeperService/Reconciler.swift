import Domain
import Storage
import Telemetry

/// Compares from time to time how many keys the cache knows with how many there are. A KeyKeeper that ends between changing
/// the store and telling the cache leaves a difference behind, and so may two that rebuild at once.
struct Reconciler: Sendable {
  let context: KeeperContext
  let lines: LineWorkers

  /// Works until the task is cancelled.
  func run() async {
    var suspects: Set<SignatureAlgorithm> = []
    while !Task.isCancelled {
      try? await context.clock.sleep(for: context.jittered(context.configuration.reconcileInterval))
      for algorithm in SignatureAlgorithm.allCases where !Task.isCancelled {
        do throws(StorageError) {
          let differs = try await compare(algorithm)
          // Seen twice: once may be a change that is under way.
          if differs && suspects.contains(algorithm) {
            suspects.remove(algorithm)
            lines[algorithm].requestRebuild(.isWrong)
          } else if differs {
            suspects.insert(algorithm)
          } else {
            suspects.remove(algorithm)
          }
        } catch {
          context.observer.count("chancery_reconcile_failures_total", ["code": error.code.rawValue])
        }
      }
    }
  }

  private func compare(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Bool {
    // A cache that must be rebuilt is rebuilt when somebody wants a key.
    guard let occupancy = try await context.cache.occupancy(algorithm) else { return false }
    return try await context.store.activeKeyCount(algorithm) != occupancy.free + occupancy.leased
  }
}
