public import Domain
import Failpoints
public import RPC
public import Storage
import Synchronization
public import Telemetry
public import TimeAndChance
import Translation

/// Plans jobs into batches, streams batches to signers under their credit, stores results, and takes back what was lost.
///
/// Any number of coordinators may run: Postgres is the only truth, and every step is a compare-and-set there. `run` must run
/// as long as the services are offered.
public final class Coordinator: Sendable {
  struct State {
    var ledger = WorkLedger()
    var sessions: [WorkLedger.SessionID: SignerSession] = [:]
    /// Set when the coordinator is stopping: no batches are claimed.
    var isDraining = false
    /// How many batches were claimed since some were last planned.
    var claimedSincePlanned = 0

    /// How many batches of a job are to wait: enough that signers never do, and few to be planned in one go.
    var plannedAhead: Int { max(32, 4 * (ledger.batchCredit + ledger.batchCount)) }
  }

  /// Where it keeps everything.
  public typealias Store = RecordStore & JobStore & PublicKeyStore

  /// Names this start of the coordinator.
  public let id: CoordinatorID
  let store: any Store
  let clock: any ServiceClock
  let random: any RandomSource
  let observer: any Observer
  let options: CoordinatorOptions
  let commits: CommitQueue
  let state = Mutex(State())
  /// Batches on their way back to the store; no more than signers have credit for.
  private let returns = Mutex<[ReturnedBatch]>([])
  private let returnBell = Doorbell()
  /// Rings when there may be batches to claim and credit to give them out.
  let workBell = Doorbell()
  /// Rings when there may be records to plan.
  let planBell = Doorbell()
  /// Rings when a job may have ended.
  let endBell = Doorbell()

  /// A coordinator that does not run yet.
  public init(
    store: any Store, clock: any ServiceClock, random: any RandomSource, observer: any Observer,
    options: CoordinatorOptions = CoordinatorOptions()
  ) {
    // 16 bytes always make an id.
    id = CoordinatorID(bytes: random.nextUUID())!
    self.store = store
    self.clock = clock
    self.random = random
    self.observer = observer
    self.options = options
    commits = CommitQueue(store: store, clock: clock, random: random, observer: observer, options: options)
  }

  /// What it serves.
  public var services: [any RPCService] {
    [JobsEndpoint(coordinator: self), RecordsEndpoint(coordinator: self), WorkEndpoint(coordinator: self)]
  }

  /// Coordinates until the task is cancelled. Call `drain` first for a stop that loses no work.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.commits.run() }
      group.addTask { await self.storeReturns() }
      group.addTask { await self.dispatch() }
      group.addTask { await self.plan() }
      group.addTask { await self.endJobs() }
      group.addTask { await self.beat() }
      group.addTask { await self.takeBackStale() }
      group.addTask { await self.tick() }
    }
  }

  /// Stops giving out batches, tells the signers to finish, and waits until they have or the drain timeout has passed.
  /// What is left is given back, and the coordinator is unregistered.
  public func drain() async {
    let sessions = state.withLock { state in
      state.isDraining = true
      return state.sessions.sorted { $0.key < $1.key }.map(\.value)
    }
    for session in sessions { await session.sendDrain() }
    let limit = clock.now.advanced(by: options.drainTimeout)
    while state.withLock({ $0.ledger.batchCount > 0 }), clock.now < limit {
      guard (try? await clock.sleep(for: .milliseconds(20))) != nil else { break }
    }
    do {
      let left = try await store.batchesClaimed(by: id)
      _ = try await store.giveBack(left.map { ReturnedBatch(batch: $0, cause: .drained) })
      try await store.unregister(id)
    } catch {
      // Its heartbeat goes stale, and another coordinator takes the batches.
      observer.event(.warning, "coordinator.drain_failed", "batches could not be given back: \(error)", [:])
    }
  }

  /// Rings the bells now and then, so that what other coordinators did is seen.
  private func tick() async {
    await every(options.pollInterval) {
      self.workBell.ring()
      self.planBell.ring()
      self.endBell.ring()
    }
  }

  private func beat() async {
    await every(options.timing.heartbeatInterval) {
      do throws(StorageError) {
        try await self.store.heartbeat(self.id)
        let reclaimed = try await self.store.reclaimFromStaleCoordinators(timeout: self.options.timing.heartbeatTimeout)
        if reclaimed > 0 {
          self.observer.count("chancery_batches_reclaimed_total", by: Double(reclaimed))
          self.observer.event(
            .warning, "coordinator.reclaimed", "took \(reclaimed) batches from a coordinator that stopped", [:])
          self.workBell.ring()
        }
      } catch {
        self.observer.event(.warning, "coordinator.heartbeat_failed", "\(error)", [:])
      }
    }
  }

  /// Plans batches of running jobs ahead of the signers, many at a time.
  private func plan() async {
    while !Task.isCancelled {
      let target = state.withLock { state in
        state.claimedSincePlanned = 0
        return state.isDraining ? 0 : state.plannedAhead
      }
      do throws(StorageError) {
        if target > 0, try await store.plan(target: target) > 0 {
          Failpoint.coordinatorPlanned.pass()
          workBell.ring()
        }
      } catch {
        observer.event(.warning, "coordinator.plan_failed", "\(error)", [:])
      }
      await planBell.wait()
    }
  }

  /// Ends jobs whose every batch has ended: after commits and now and then, never inside a commit.
  private func endJobs() async {
    while !Task.isCancelled {
      do throws(StorageError) {
        for job in try await store.endFinishedJobs() {
          observer.count("chancery_jobs_ended_total")
          let trace = TraceContext(of: job.id, submittedIn: job.trace)?.child(random: random)
          CallScope.$current.withValue(.tracing(trace)) {
            observer.event(
              .info, "job.done", "\(job.counts.signed) records are signed, \(job.counts.failed) failed",
              ["job": job.id.description])
          }
        }
      } catch {
        observer.event(.warning, "coordinator.end_failed", "\(error)", [:])
      }
      await endBell.wait()
    }
  }

  /// Takes back batches whose signer shows no progress.
  private func takeBackStale() async {
    await every(options.timing.progressTimeout / 6) {
      let limit = self.clock.now.advanced(by: .zero - self.options.timing.progressTimeout)
      let stale = self.state.withLock { $0.ledger.takeStale(before: limit) }
      self.giveBack(stale.map { ReturnedBatch(batch: $0, cause: .signerLost) })
    }
  }

  private func every(_ interval: Duration, _ action: () async -> Void) async {
    while !Task.isCancelled {
      await action()
      // Ends early only when the task is cancelled.
      try? await clock.sleep(for: interval)
    }
  }

  /// Gives batches back to the store: soon, and whatever becomes of the calling task, which often ends because a signer is gone.
  func giveBack(_ batches: [ReturnedBatch]) {
    guard !batches.isEmpty else { return }
    for batch in batches {
      observer.count("chancery_batches_returned_total", ["cause": batch.cause.label], by: 1)
      observer.event(.info, "batch.returned", "given back: \(batch.cause.label)", batch.batch.attributes)
    }
    returns.withLock { $0 += batches }
    returnBell.ring()
  }

  /// Whether a batch is on its way back to the store.
  func isReturning(_ batch: BatchAttempt) -> Bool { returns.withLock { $0.contains { $0.batch == batch } } }

  /// Tells the store which batches came back, until it knows.
  private func storeReturns() async {
    var attempt = 0
    while !Task.isCancelled {
      let batches = returns.withLock { $0 }
      if batches.isEmpty {
        await returnBell.wait()
        continue
      }
      do throws(StorageError) {
        // A batch that is given back twice is given back once.
        _ = try await store.giveBack(batches)
        returns.withLock { $0.removeFirst(batches.count) }
        attempt = 0
        workBell.ring()
        endBell.ring()
      } catch {
        observer.event(.warning, "batch.return_failed", "trying again: \(error)", [:])
        try? await clock.sleep(for: options.storeBackoff.delay(attempt: attempt, random: random))
        attempt += 1
      }
    }
  }

  /// Calls the store; its failure becomes the call's.
  func stored<Value>(_ call: () async throws(StorageError) -> Value) async throws(RPCError) -> Value {
    do {
      return try await call()
    } catch {
      throw RPCError(error)
    }
  }
}

extension BatchReturn {
  /// For metrics and logs.
  var label: String {
    switch self {
    case .drained: "drained"
    case .keyUnavailable: "key_unavailable"
    case .signerLost: "signer_lost"
    case .failed: "failed"
    }
  }
}
