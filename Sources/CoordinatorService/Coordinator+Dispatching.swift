import Domain
import Failpoints
import Storage
import Synchronization
import Telemetry
import TimeAndChance

extension Coordinator {
  /// Claims batches while signers have credit, and hands them out.
  func dispatch() async {
    var lastReconciliation = clock.now
    var attempt = 0
    while !Task.isCancelled {
      do throws(StorageError) {
        // Between two claims nothing is on its way from the store, so what it has and the ledger lacks is lost.
        if lastReconciliation.duration(to: clock.now) >= options.reconcileInterval {
          try await reconcile()
          lastReconciliation = clock.now
        }
        let (credit, algorithms) = state.withLock { state in
          let mayClaim = !state.isDraining && state.ledger.isWorthAClaim
          return (mayClaim ? state.ledger.batchCredit : 0, state.ledger.algorithms)
        }
        let claimed = credit == 0 ? [] : try await claim(algorithms, limit: min(credit, options.claimLimit))
        attempt = 0
        if claimed.isEmpty {
          if credit > 0 { planBell.ring() }
          await workBell.wait()
        } else {
          Failpoint.coordinatorClaimed.pass()
          handOut(claimed)
          let isPlanLow = state.withLock { state in
            state.claimedSincePlanned += claimed.count
            return state.claimedSincePlanned >= state.plannedAhead / 2
          }
          if isPlanLow { planBell.ring() }
        }
      } catch {
        observer.event(.warning, "coordinator.claim_failed", "\(error)", [:])
        try? await clock.sleep(for: options.storeBackoff.delay(attempt: attempt, random: random))
        attempt += 1
      }
    }
  }

  private func claim(
    _ algorithms: Set<SignatureAlgorithm>, limit: Int
  ) async throws(StorageError) -> [ClaimedBatch] {
    // 16 bytes always make an id.
    let claim = ClaimID(bytes: random.nextUUID())!
    return try await observer.timing("chancery_store_seconds", ["operation": "claim"], clock) {
      () async throws(StorageError) in
      try await store.claim(algorithms, coordinator: id, claim: claim, limit: limit)
    }
  }

  /// Gives claimed batches to signers; what no signer has credit for any more goes back.
  private func handOut(_ claimed: [ClaimedBatch]) {
    var unassigned: [ReturnedBatch] = []
    for batch in claimed {
      let session = state.withLock { state in
        state.ledger.assign(batch.batch, batch.algorithm, now: clock.now).flatMap { state.sessions[$0] }
      }
      if let session {
        session.assign(batch)
      } else {
        unassigned.append(ReturnedBatch(batch: batch.batch, cause: .drained))
      }
    }
    giveBack(unassigned)
  }

  /// Gives back the batches that the store counts as this coordinator's and that it does not know: claimed by a call whose
  /// answer was lost, or not given back because the store was away.
  private func reconcile() async throws(StorageError) {
    let stored = try await store.batchesClaimed(by: id)
    let unknown = state.withLock { state in stored.filter { !state.ledger.has($0) } }.filter { !isReturning($0) }
    giveBack(unknown.map { ReturnedBatch(batch: $0, cause: .drained) })
  }
}
