import Domain
import Failpoints
import RPC
import Storage
import Telemetry

/// A key that the cache has picked, and for whom.
struct PickedLease: Sendable {
  var algorithm: SignatureAlgorithm
  var waiter: WaitingLine.Waiter
  var pick: LeasePick

  var name: LeaseName { LeaseName(keyID: pick.keyID, leaseID: waiter.leaseID) }
}

/// A lease that the store has granted.
struct GrantedLease: Sendable {
  var algorithm: SignatureAlgorithm
  var name: LeaseName
  var epoch: Epoch
  var ttl: Duration
  /// From when the call came until the store was asked for the lease: the lease lives no shorter than `ttl` from then.
  var waited: Duration
}

/// Has the store grant what the cache has picked: all that is ready in one call, while the one before is still under way.
final class GrantDesk: Sendable {
  private let context: KeeperContext
  private let lines: LineWorkers
  private let refresher: CacheRefresher
  private let releases: ReleaseDesk
  private let queue: WorkQueue<PickedLease>

  init(_ context: KeeperContext, _ lines: LineWorkers, _ refresher: CacheRefresher, _ releases: ReleaseDesk) {
    self.context = context
    self.lines = lines
    self.refresher = refresher
    self.releases = releases
    // A key is picked for one caller at a time.
    queue = WorkQueue(limit: LeaseCacheLimits.keys, activity: context.activity)
  }

  func take(_ picked: PickedLease) {
    guard !queue.append(picked) else { return }
    refuse(picked, LineWorkers.stopped)
  }

  /// Works until the task is cancelled. Several may run at a time.
  func run() async {
    while true {
      let batch = await queue.next(upTo: context.configuration.batch)
      if batch.isEmpty { return }
      await grant(batch)
      queue.finished(batch.count)
    }
  }

  /// Refuses what is left after the last `run` has ended.
  func stop() {
    for picked in queue.close() { refuse(picked, LineWorkers.stopped) }
  }

  private func grant(_ batch: [PickedLease]) async {
    let startedAt = context.clock.now
    let requests = batch.map { picked in
      GrantRequest(
        keyID: picked.pick.keyID, epoch: picked.pick.epoch, leaseID: picked.waiter.leaseID,
        holder: picked.waiter.holder, ttl: picked.waiter.ttl, decision: picked.pick.decision, rank: picked.pick.rank)
    }
    Failpoint.keyKeeperPicked.pass()
    do throws(StorageError) {
      // The same grant again is the same lease: so its outcome becomes known.
      let outcomes = try await context.trying { () async throws(StorageError) in
        try await context.observer.timing("chancery_store_seconds", ["operation": "grant"], context.clock) {
          () async throws(StorageError) in try await context.store.grant(requests)
        }
      }
      Failpoint.keyKeeperGranted.pass()
      for (picked, outcome) in zip(batch, outcomes) {
        switch outcome {
        case .granted(let epoch): granted(picked, epoch, startedAt)
        case .stale: retry(picked)
        }
      }
    } catch {
      context.observer.event(
        .warning, "grant.failed", error.message, ["code": error.code.rawValue, "leases": "\(batch.count)"])
      for picked in batch { refuse(picked, RPCError(error)) }
    }
  }

  private func granted(_ picked: PickedLease, _ epoch: Epoch, _ startedAt: ContinuousClock.Instant) {
    let waiter = picked.waiter
    let waited = waiter.arrived.duration(to: startedAt)
    let lease = GrantedLease(
      algorithm: picked.algorithm, name: picked.name, epoch: epoch, ttl: waiter.ttl, waited: max(waited, .zero))
    let labels = ["algorithm": picked.algorithm.name]
    context.observer.count("chancery_leases_granted_total", labels)
    context.observer.record("chancery_acquire_wait_seconds", labels, time: lease.waited)
    CallScope.$current.withValue(.tracing(waiter.trace)) {
      context.observer.event(
        .debug, "lease.granted", "a lease was granted",
        [
          "key": "\(picked.pick.keyID)", "epoch": "\(epoch)", "lease": "\(waiter.leaseID)",
          "holder": "\(waiter.holder)",
        ])
    }
    if !waiter.reply.give(.granted(lease)) {
      context.observer.count("chancery_leases_unclaimed_total", labels)
      releases.abandon(picked.name, picked.algorithm)
    }
  }

  /// The cache was wrong about the key. It is told, and then the caller tries again from its place in line.
  private func retry(_ picked: PickedLease) {
    let line = lines[picked.algorithm]
    context.observer.count("chancery_grants_stale_total", ["algorithm": picked.algorithm.name])
    let isLast = picked.waiter.staleGrants + 1 >= context.configuration.staleGrants
    if isLast {
      let error = RPCError(
        .unavailable, "the lease cache was wrong about \(picked.waiter.staleGrants + 1) keys in a row: try again")
      _ = picked.waiter.reply.give(.failed(error))
    }
    refresher.refresh(picked.pick.keyID, picked.algorithm, deadLease: picked.waiter.leaseID) {
      if !isLast { line.comeBack(picked.waiter, ticket: picked.pick.ticket) }
    }
  }

  private func refuse(_ picked: PickedLease, _ error: RPCError) {
    _ = picked.waiter.reply.give(.failed(error))
    // Granted or not: whether it was is not known here.
    releases.abandon(picked.name, picked.algorithm)
  }
}
