public import Domain

extension MemoryDatabase {
  /// See `JobStore`.
  public func submit(_ submission: JobSubmission) async throws(StorageError) -> Job {
    try await step { state, now throws(StorageError) in
      let takenBy = submission.idempotencyKey.flatMap { state.jobsByIdempotencyKey[$0] } ?? submission.id
      if let job = state.jobs[takenBy] {
        guard job.isMade(by: submission) else { throw .submissionConflict(submission, with: job.id) }
        return job.snapshot
      }
      guard let source = state.sources.first(where: { $0.source.name == submission.sourceName }) else {
        throw .unknownSource(submission.sourceName)
      }
      guard let bound = source.rows.last?.id else { throw .emptySource(submission.sourceName) }
      guard state.keys.values.contains(where: { $0.state == .active && $0.algorithm == submission.algorithm }) else {
        throw .noActiveKey(submission.algorithm)
      }
      let job = MemoryJob(
        submission, number: Int64(state.jobs.count) + 1, source: source, bound: bound, at: now.time)
      state.add(job)
      return job.snapshot
    }
  }

  /// See `JobStore`.
  public func job(_ id: JobID) async throws(StorageError) -> Job? {
    try await look { state, _ throws(StorageError) in state.jobs[id]?.snapshot }
  }

  /// See `JobStore`.
  public func jobs(limit: Int, before: JobCursor?) async throws(StorageError) -> [Job] {
    try await look { state, _ throws(StorageError) in
      let newestFirst = state.jobs.values.sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }
      let older = newestFirst.filter { job in
        before.map { (job.createdAt, job.id) < ($0.createdAt, $0.id) } ?? true
      }
      return older.prefix(limit).map(\.snapshot)
    }
  }

  /// See `JobStore`.
  public func setState(_ id: JobID, to next: JobState) async throws(StorageError) -> Job {
    try await step { state, now throws(StorageError) in
      guard var job = state.jobs[id] else { throw .unknownJob(id) }
      if job.state == next { return job.snapshot }
      guard job.state.mayBeSet(to: next) else { throw .jobState(id, job.state, next) }
      job.state = next
      if next == .cancelled {
        job.endedAt = now.time
        for index in job.openBatches() where job.batches[index].state.isOpen {
          job.batches[index].state = .cancelled
          job.batches[index].coordinator = nil
        }
      }
      state.jobs[id] = job
      return job.snapshot
    }
  }

  /// See `JobStore`.
  public func retryFailed(_ id: JobID) async throws(StorageError) -> Int {
    try await step { state, _ throws(StorageError) in
      guard let job = state.jobs[id] else { throw .unknownJob(id) }
      guard job.state != .cancelled else { throw .retryOfCancelled(id) }
      let source = try state.source(job.sourceID)
      let retried = state.jobs[id]?.retryFailed { source.rows(in: $0).count } ?? 0
      if retried > 0, job.state == .done {
        state.jobs[id]?.state = .running
        state.jobs[id]?.endedAt = nil
      }
      return retried
    }
  }

  /// See `JobStore`.
  public func endFinishedJobs() async throws(StorageError) -> [Job] {
    try await step { state, now throws(StorageError) in
      let finished = state.jobsByAge.filter { id in
        state.jobs[id].map { !$0.state.hasEnded && $0.isFinished } ?? false
      }
      for id in finished {
        state.jobs[id]?.state = .done
        state.jobs[id]?.endedAt = now.time
      }
      return finished.compactMap { state.jobs[$0]?.snapshot }
    }
  }

  /// See `JobStore`.
  public func backlog() async throws(StorageError) -> Backlog {
    try await step { state, _ throws(StorageError) in
      state.jobs.values.reduce(into: Backlog()) { backlog, job in
        if job.state == .running {
          backlog.jobs += 1
          backlog.batchesPending += job.batches.count { $0.state == .pending }
        }
        backlog.batchesLeased += job.batches.count { $0.state == .leased }
      }
    }
  }
}

extension MemoryState {
  fileprivate mutating func add(_ job: MemoryJob) {
    jobs[job.id] = job
    jobsByAge.append(job.id)
    let place = jobsByRank.lowerBound { id in jobs[id].map { $0.priority >= job.priority } ?? true }
    jobsByRank.insert(job.id, at: place)
    if let key = job.idempotencyKey { jobsByIdempotencyKey[key] = job.id }
  }
}
