import Domain
import Failpoints
import RPC
import Storage
import Synchronization
import Telemetry
import TimeAndChance

/// How waiting for a key ended.
enum AcquireOutcome: Sendable {
  case granted(GrantedLease)
  /// No key became free in time.
  case timedOut
  case failed(RPCError)
}

/// Does what the line of one algorithm decides: asks the cache, hands on what it picks, and rebuilds it.
final class LineWorker: Sendable {
  let algorithm: SignatureAlgorithm
  private let context: KeeperContext
  private let recorder: ReleaseRecorder
  private let line: Mutex<WaitingLine>
  private let bell = Doorbell()
  /// Nil while calls are taken.
  private let refusal = Mutex<RPCError?>(nil)

  init(_ algorithm: SignatureAlgorithm, keyKeeper: String, _ context: KeeperContext, _ recorder: ReleaseRecorder) {
    self.algorithm = algorithm
    self.context = context
    self.recorder = recorder
    line = Mutex(
      WaitingLine(
        algorithm: algorithm, keyKeeper: keyKeeper, slack: context.configuration.expirySlack,
        limit: context.configuration.waiters))
  }

  // MARK: - For callers

  /// Waits for a lease until `deadline`; nil if the task is cancelled.
  func wait(holder: SignerID, ttl: Duration, until deadline: ContinuousClock.Instant) async throws(RPCError)
    -> AcquireOutcome?
  {
    let leaseID = context.newLeaseID()
    let now = context.clock.now
    let waiter = try line.withLock { (line) throws(RPCError) in
      // Under the lock of the line: a refusal that comes later finds the waiter there.
      if let refusal = refusal.withLock({ $0 }) { throw refusal }
      return line.enter(
        holder: holder, ttl: ttl, leaseID: leaseID, at: now, until: deadline, trace: CallScope.current?.trace)
    }
    guard let waiter else { throw lineFull(context.configuration.waiters) }
    bell.ring()
    return await waiter.reply.wait { [self] in
      line.withLock { $0.abandon(waiter.number) }
      bell.ring()
    }
  }

  /// How many wait here.
  var waiterCount: Int { line.withLock { $0.waiters.count } }

  // MARK: - For other parts

  /// A pick could not be granted, and the cache knows: its waiter tries again.
  func comeBack(_ waiter: WaitingLine.Waiter, ticket: Int64) {
    let leaseID = context.newLeaseID()
    let refusal = line.withLock { line in
      let refusal = self.refusal.withLock { $0 }
      if refusal == nil { line.comeBack(waiter, ticket: ticket, leaseID: leaseID) }
      return refusal
    }
    if let refusal { _ = waiter.reply.give(.failed(refusal)) }
    bell.ring()
  }

  func hearOfRelease(_ count: Int) {
    let now = context.clock.now
    line.withLock { $0.hearOfRelease(count, at: now) }
    bell.ring()
  }

  /// The cache does not know what it should.
  func requestRebuild(_ reason: WaitingLine.RebuildReason) {
    line.withLock { $0.requestRebuild(reason) }
    bell.ring()
  }

  /// Refuses callers from now on, and those who wait; returns who must leave the line of the cache.
  func refuse(_ error: RPCError) -> [WaiterID] {
    refusal.withLock { $0 = error }
    let (waiters, leaving) = line.withLock { line in
      let waiters = line.abandonAll()
      return (waiters, waiters.filter(\.mayBeInLine).map { line.id(of: $0) })
    }
    for waiter in waiters { _ = waiter.reply.give(.failed(error)) }
    bell.ring()
    return leaving
  }

  // MARK: - Working

  /// Works until the task is cancelled. `grant` takes what the cache has picked.
  func run(grant: @Sendable (PickedLease) -> Void) async {
    while !Task.isCancelled {
      let now = context.clock.now
      let (overdue, step) = line.withLock { line in
        let overdue = line.dismissOverdue(at: now)
        return (overdue, line.nextStep(at: now))
      }
      for waiter in overdue { _ = waiter.reply.give(.timedOut) }
      if case .wait(let until) = step {
        await bell.wait(until: until, context.clock)
        continue
      }
      context.activity.begin()
      await perform(step, grant)
      context.activity.end()
    }
  }

  private func perform(_ step: WaitingLine.Step, _ grant: (PickedLease) -> Void) async {
    do throws(StorageError) {
      switch step {
      case .take(let requests): try await take(requests, grant)
      case .leave(let waiters):
        try await context.cache.leave(waiters, algorithm: algorithm)
        line.withLock { $0.left(waiters) }
      case .rebuild(let reason):
        try await rebuild(reason)
        line.withLock { $0.rebuilt() }
      case .wait: break
      }
    } catch {
      fail(error)
    }
  }

  private func take(_ requests: [TakeRequest], _ grant: (PickedLease) -> Void) async throws(StorageError) {
    let outcomes = try await context.observer.timing("chancery_cache_seconds", ["operation": "take"], context.clock) {
      () async throws(StorageError) in try await context.cache.take(requests)
    }
    let now = context.clock.now
    let interval = context.jittered(context.configuration.pollInterval)
    let round = line.withLock { $0.answer(outcomes, to: requests, at: now, interval: interval) }
    for (waiter, pick) in round.picked { grant(PickedLease(algorithm: algorithm, waiter: waiter, pick: pick)) }
    for (waiter, limit) in round.refused { _ = waiter.reply.give(.failed(lineFull(limit))) }
    count("chancery_acquires_queued_total", round.queued)
    if !round.expired.isEmpty {
      count("chancery_leases_expired_total", round.expired.count)
      recorder.record(round.expired)
      for release in round.expired {
        context.observer.event(
          .warning, "lease.expired", "the holder did not renew or release its lease in time", release.attributes)
      }
    }
    if round.hasNoKeys { try await explainMissingKeys() }
  }

  /// The cache has no key of the algorithm: either there is none, or it must be told.
  private func explainMissingKeys() async throws(StorageError) {
    if try await context.store.activeKeyCount(algorithm) > 0 {
      line.withLock { $0.requestRebuild(.isWrong) }
      return
    }
    let error = RPCError(
      .failedPrecondition, "there is no active \(algorithm) key: generate, import or enable one")
    let waiters = line.withLock { $0.dismissAll() }
    for waiter in waiters { _ = waiter.reply.give(.failed(error)) }
  }

  private func rebuild(_ reason: WaitingLine.RebuildReason) async throws(StorageError) {
    // Also tells whether the cache can be reached, before a generation is minted that stops all grants.
    let isFilled = try await context.cache.occupancy(algorithm) != nil
    if reason == .isLost && isFilled { return }
    let (generation, keys) = try await context.store.beginGeneration(algorithm)
    Failpoint.keyKeeperRebuilding.pass()
    let configuration = context.configuration
    let isInstalled = try await context.cache.install(
      generation: generation, algorithm: algorithm, keys: keys.map { $0.outliving(configuration.expirySlack) },
      unreleasedTTL: configuration.timing.leaseTTL + configuration.expirySlack)
    guard isInstalled else { return }
    count("chancery_cache_rebuilds_total", 1)
    context.observer.event(
      .warning, "cache.rebuilt", "the lease cache was rebuilt from the store",
      [
        "algorithm": algorithm.name, "generation": "\(generation)", "keys": "\(keys.count)",
        "leased": "\(keys.count { $0.leaseID != nil })",
      ])
  }

  private func fail(_ error: StorageError) {
    count("chancery_cache_failures_total", 1)
    let attempt = line.withLock { $0.failuresInARow } + 1
    let delay = context.backoff(attempt)
    let retryAt = context.clock.now.advanced(by: delay)
    let waiters = line.withLock { $0.failed(retryAt: retryAt, attempts: context.configuration.attempts) }
    if attempt == 1 {
      context.observer.event(
        .warning, "cache.failed", error.message, ["algorithm": algorithm.name, "code": error.code.rawValue])
    }
    for waiter in waiters { _ = waiter.reply.give(.failed(RPCError(error))) }
  }

  private func lineFull(_ limit: Int) -> RPCError {
    RPCError(
      .resourceExhausted, "\(limit) callers wait for an active \(algorithm) key, and no more may: try again later")
  }

  private func count(_ name: MetricName, _ amount: Int) {
    if amount > 0 { context.observer.count(name, ["algorithm": algorithm.name], by: Double(amount)) }
  }
}

extension LeasedKeyState {
  /// The same, with a lease that the cache counts a little longer than the store.
  func outliving(_ slack: Duration) -> LeasedKeyState {
    var state = self
    if leaseID != nil && remaining > .zero { state.remaining += slack }
    return state
  }
}

extension LeaseRelease {
  var attributes: MetricLabels {
    [
      "key": "\(lease.keyID)", "lease": "\(lease.leaseID)",
      "decision": "\(decision.generation)/\(decision.sequence)",
    ]
  }
}
