import Domain
import Failpoints
import RPC
import Storage
import Telemetry

/// Ends leases: first in the store, then in the cache, so that a key which the cache gives out can be granted.
final class ReleaseDesk: Sendable {
  private struct Item: Sendable {
    var lease: LeaseName
    var algorithm: SignatureAlgorithm
    /// Nil if nobody waits.
    var reply: Reply<RPCError?>?
  }

  /// How many leases may wait to be ended.
  private static let limit = 100_000

  private let context: KeeperContext
  private let lines: LineWorkers
  private let refresher: CacheRefresher
  private let recorder: ReleaseRecorder
  private let queue: WorkQueue<Item>

  init(_ context: KeeperContext, _ lines: LineWorkers, _ refresher: CacheRefresher, _ recorder: ReleaseRecorder) {
    self.context = context
    self.lines = lines
    self.refresher = refresher
    self.recorder = recorder
    queue = WorkQueue(limit: Self.limit, activity: context.activity)
  }

  /// Ends a lease for its holder. It is ended even if the holder does not wait for it.
  func release(_ lease: LeaseName, _ algorithm: SignatureAlgorithm) async throws {
    let reply = Reply<RPCError?>()
    guard queue.append(Item(lease: lease, algorithm: algorithm, reply: reply)) else { throw LineWorkers.stopped }
    guard let outcome = await reply.wait(onAbandon: {}) else { throw CancellationError() }
    if let error = outcome { throw error }
  }

  /// Ends a lease that nobody has use for, if it was granted at all.
  func abandon(_ lease: LeaseName, _ algorithm: SignatureAlgorithm) {
    if !queue.append(Item(lease: lease, algorithm: algorithm, reply: nil)) { leaveToExpire([lease]) }
  }

  /// Works until the task is cancelled. Several may run at a time.
  func run() async {
    while true {
      let batch = await queue.next(upTo: context.configuration.batch)
      if batch.isEmpty { return }
      await end(batch)
      queue.finished(batch.count)
    }
  }

  /// Refuses what is left after the last `run` has ended.
  func stop() {
    for item in queue.close() { refuse(item, LineWorkers.stopped) }
  }

  private func end(_ batch: [Item]) async {
    let wereNewest: [Bool]
    do throws(StorageError) {
      wereNewest = try await context.trying { () async throws(StorageError) in
        try await context.observer.timing("chancery_store_seconds", ["operation": "release"], context.clock) {
          () async throws(StorageError) in try await context.store.endLeases(batch.map(\.lease))
        }
      }
    } catch {
      context.observer.event(
        .warning, "release.failed", error.message, ["code": error.code.rawValue, "leases": "\(batch.count)"])
      for item in batch { refuse(item, RPCError(error)) }
      return
    }
    Failpoint.keyKeeperEnded.pass()
    var ended: [Item] = []
    for (item, wasNewest) in zip(batch, wereNewest) {
      if wasNewest {
        ended.append(item)
      } else {
        // The cache may know a lease that the store does not: a pick that was never granted.
        refresher.refresh(item.lease.keyID, item.algorithm, deadLease: item.lease.leaseID)
      }
    }
    for algorithm in SignatureAlgorithm.allCases {
      let items = ended.filter { $0.algorithm == algorithm }
      if !items.isEmpty { await free(items.map(\.lease), algorithm) }
    }
    for item in batch { _ = item.reply?.give(nil) }
  }

  /// Makes the keys free in the cache. If that cannot be done they become free when the cache counts the leases as expired.
  private func free(_ leases: [LeaseName], _ algorithm: SignatureAlgorithm) async {
    do throws(StorageError) {
      let decisions = try await context.trying { () async throws(StorageError) in
        try await context.cache.release(leases, algorithm: algorithm)
      }
      var releases: [LeaseRelease] = []
      for (lease, decision) in zip(leases, decisions) {
        guard let decision else {
          // Released before, or while the cache is being rebuilt from what the store said before.
          refresher.refresh(lease.keyID, algorithm, deadLease: lease.leaseID)
          continue
        }
        releases.append(LeaseRelease(lease: lease, decision: decision, isExpiry: false))
      }
      guard !releases.isEmpty else { return }
      Failpoint.keyKeeperFreed.pass()
      recorder.record(releases)
      lines[algorithm].hearOfRelease(releases.count)
      context.observer.count(
        "chancery_leases_released_total", ["algorithm": algorithm.name], by: Double(releases.count))
    } catch {
      leaveToExpire(leases)
    }
  }

  private func refuse(_ item: Item, _ error: RPCError) {
    if let reply = item.reply { _ = reply.give(error) } else { leaveToExpire([item.lease]) }
  }

  private func leaveToExpire(_ leases: [LeaseName]) {
    context.observer.count("chancery_leases_left_to_expire_total", by: Double(leases.count))
  }
}
