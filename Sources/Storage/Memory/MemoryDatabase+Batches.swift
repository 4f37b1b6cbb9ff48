public import Domain

extension MemoryDatabase {
  /// See `JobStore`.
  public func plan(target: Int) async throws(StorageError) -> Int {
    try await step { state, _ throws(StorageError) in
      var planned = 0
      for id in state.jobsByRank {
        guard let job = state.jobs[id], job.state == .running, !job.isPlanned else { continue }
        let source = try state.source(job.sourceID)
        planned += state.jobs[id]?.plan(target: target, rows: source.rows) ?? 0
      }
      return planned
    }
  }

  /// See `JobStore`.
  public func claim(
    _ algorithms: Set<SignatureAlgorithm>, coordinator: CoordinatorID, claim: ClaimID, limit: Int
  ) async throws(StorageError) -> [ClaimedBatch] {
    try await step { state, now throws(StorageError) in
      var waiting: [(rank: (Int, Int, Int), id: JobID, index: Int)] = []
      for (age, id) in state.jobsByRank.enumerated() {
        guard let job = state.jobs[id], job.state == .running, algorithms.contains(job.algorithm) else { continue }
        let open = state.jobs[id]!.openBatches()
        let leased = open.count { job.batches[$0].state == .leased }
        for (place, index) in open.filter({ job.batches[$0].isWaiting(at: now.instant) }).prefix(limit).enumerated() {
          waiting.append(((-job.priority.rawValue, leased + place, age), id, index))
        }
      }
      waiting.sort { $0.rank < $1.rank }
      return try waiting.prefix(limit).map { next throws(StorageError) in
        state.jobs[next.id]!.lease(next.index, to: coordinator)
        let job = state.jobs[next.id]!
        return job.claimed(next.index, of: try state.source(job.sourceID).source)
      }
    }
  }

  /// See `JobStore`.
  public func batchesClaimed(by coordinator: CoordinatorID) async throws(StorageError) -> [BatchAttempt] {
    try await look { state, _ throws(StorageError) in
      state.leasedBatches { $0 == coordinator }
    }
  }

  /// See `JobStore`.
  public func giveBack(_ returns: [ReturnedBatch]) async throws(StorageError) -> Int {
    try await step { state, now throws(StorageError) in
      returns.count { giveBack($0, &state, now) }
    }
  }

  /// See `JobStore`.
  public func heartbeat(_ coordinator: CoordinatorID) async throws(StorageError) {
    try await step { state, now throws(StorageError) in state.heartbeats[coordinator] = now.instant }
  }

  /// See `JobStore`.
  public func reclaimFromStaleCoordinators(timeout: Duration) async throws(StorageError) -> Int {
    try await step { state, now throws(StorageError) in
      if state.sabotage == .neverReclaimed { return 0 }
      state.heartbeats = state.heartbeats.filter { $0.value.duration(to: now.instant) <= timeout }
      let stale = state.leasedBatches { coordinator in
        coordinator.map { state.heartbeats[$0] == nil } ?? true
      }
      return stale.count { giveBack(ReturnedBatch(batch: $0, cause: .signerLost), &state, now) }
    }
  }

  /// See `JobStore`.
  public func unregister(_ coordinator: CoordinatorID) async throws(StorageError) {
    try await step { state, _ throws(StorageError) in state.heartbeats[coordinator] = nil }
  }

  private func giveBack(
    _ returned: ReturnedBatch, _ state: inout MemoryState, _ now: MemoryState.Moment
  ) -> Bool {
    guard var batch = state.batch(returned.batch), batch.state == .leased, batch.attempt == returned.batch.attempt
    else { return false }
    let settled = policy.settle(returned.cause, batch.spent, random: random)
    batch.state = settled.state
    batch.spent = settled.spent
    batch.notBefore = now.instant.advanced(by: settled.delay)
    batch.coordinator = nil
    batch.note = returned.cause.note ?? batch.note
    state.jobs[returned.batch.jobID]?.batches[Int(returned.batch.seq)] = batch
    return true
  }
}

extension MemoryJob {
  fileprivate mutating func plan(target: Int, rows: [MemorySource.Row]) -> Int {
    var missing = target - openBatches().count { batches[$0].state == .pending }
    var planned = 0
    while missing > 0, let next = nextID {
      let start = rows.lowerBound { $0.id < next }
      let end = rows.lowerBound { $0.id <= recordBound }
      let window = rows[start..<max(start, end)].prefix(batchSize.rawValue)
      if let first = window.first, let last = window.last {
        batches.append(MemoryBatch(ids: first.id...last.id, count: window.count))
        missing -= 1
        planned += 1
      }
      let isLast = start + window.count >= end
      nextID = isLast ? nil : window.last.map { $0.id + 1 }
    }
    return planned
  }

  fileprivate mutating func lease(_ index: Int, to coordinator: CoordinatorID) {
    batches[index].state = .leased
    batches[index].attempt += 1
    batches[index].coordinator = coordinator
  }

  fileprivate func claimed(_ index: Int, of source: Source) -> ClaimedBatch {
    let batch = batches[index]
    return ClaimedBatch(
      batch: BatchAttempt(jobID: id, seq: Int32(index), attempt: batch.attempt), source: source,
      algorithm: algorithm, form: form, trace: trace, firstID: RecordID(rawValue: batch.ids.lowerBound),
      lastID: RecordID(rawValue: batch.ids.upperBound), count: batch.count, replayPosition: nil)
  }
}

extension MemoryBatch {
  fileprivate func isWaiting(at instant: ContinuousClock.Instant) -> Bool {
    state == .pending && notBefore.map { $0 <= instant } ?? true
  }
}

extension MemoryState {
  func batch(_ name: BatchAttempt) -> MemoryBatch? {
    guard let job = jobs[name.jobID], job.batches.indices.contains(Int(name.seq)) else { return nil }
    return job.batches[Int(name.seq)]
  }

  /// The leased batches of the coordinators that `isMeant`, in the order in which batches are given out.
  fileprivate func leasedBatches(_ isMeant: (CoordinatorID?) -> Bool) -> [BatchAttempt] {
    var found: [BatchAttempt] = []
    for id in jobsByRank {
      guard var job = jobs[id] else { continue }
      for index in job.openBatches() where job.batches[index].state == .leased {
        guard isMeant(job.batches[index].coordinator) else { continue }
        found.append(BatchAttempt(jobID: id, seq: Int32(index), attempt: job.batches[index].attempt))
      }
    }
    return found
  }
}
