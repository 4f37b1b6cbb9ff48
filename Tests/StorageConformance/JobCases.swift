import Domain
import Storage
import Testing

// Jobs: a submission fixes what it covers and is made once, and a job moves through its states only as it may.
extension ConformanceCase {
  static let submissions = [
    ConformanceCase("a submission makes a running job over what is there") { scene async throws in
      try await scene.putRecords(5)
      try await scene.addKeys(1)
      let submission = try scene.submission(size: 2, priority: 7, key: "monthly")
      let job = try await scene.store.submit(submission)
      let source = try await scene.records()
      #expect(job.id == submission.id)
      #expect(job.sourceID == source.id)
      #expect(job.sourceName == "records")
      #expect(job.algorithm == .ecdsaP256)
      #expect(job.batchSize.rawValue == 2)
      #expect(job.priority.rawValue == 7)
      #expect(job.state == .running)
      #expect(job.idempotencyKey == submission.idempotencyKey)
      #expect(job.recordBound.rawValue == 5)
      #expect(!job.isPlanned)
      #expect(job.counts == JobCounts())
      #expect(job.endedAt == nil)
      #expect(try await scene.store.job(job.id) == job)
      #expect(try await scene.store.job(scene.id()) == nil)
    },

    ConformanceCase("a job keeps the trace that it was first submitted in") { scene async throws in
      try await scene.putRecords(1)
      try await scene.addKeys(1)
      let trace = JobTrace(parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", state: "vendor=1")
      var submission = try scene.submission(key: "k")
      submission.trace = trace
      #expect(try await scene.store.submit(submission).trace == trace)
      submission.trace = nil
      let again = try await scene.store.submit(submission)
      #expect(again.trace == trace)
      _ = try await scene.store.plan(target: 1)
      #expect(try await scene.claim().map(\.trace) == [trace])
      #expect(try await scene.store.submit(try scene.submission()).trace == nil)
    },

    ConformanceCase("a submission needs a source, records in it, and an active key of its algorithm") {
      scene async throws in
      await expectError(.notFound, naming: "invoices") {
        try await scene.store.submit(try scene.submission(source: "invoices"))
      }
      await expectError(.wrongState, naming: "records") { try await scene.store.submit(try scene.submission()) }
      try await scene.putRecords(1)
      await expectError(.wrongState, naming: "ecdsa-p256", "key") {
        try await scene.store.submit(try scene.submission())
      }
      let key = try #require(try await scene.addKeys(1).first)
      await expectError(.wrongState, naming: "ed25519") {
        try await scene.store.submit(try scene.submission(algorithm: .ed25519))
      }
      _ = try await scene.store.setState(key, to: .disabled)
      await expectError(.wrongState, naming: "ecdsa-p256") { try await scene.store.submit(try scene.submission()) }
    },

    ConformanceCase("a repeated submission returns the job that the first one made") { scene async throws in
      try await scene.putRecords(1)
      try await scene.addKeys(1)
      let first = try await scene.store.submit(try scene.submission(key: "k"))
      try await scene.putRecords(1)
      let again = try await scene.store.submit(try scene.submission(key: "k"))
      #expect(again == first)
      let other = try await scene.store.submit(try scene.submission(key: "l"))
      #expect(other.id != first.id)
      #expect(other.recordBound.rawValue == 2)

      let nameless = try scene.submission()
      let made = try await scene.store.submit(nameless)
      #expect(try await scene.store.submit(nameless) == made)
    },

    ConformanceCase("an idempotency key with other parameters is a conflict") { scene async throws in
      try await scene.putRecords(1)
      try await scene.addKeys(1)
      try await scene.addKeys(1, .ed25519)
      _ = try await scene.harness.addSource(named: "invoices", rows: [SourceRow(id: 1, payload: [1])])
      let first = try await scene.store.submit(try scene.submission(size: 2, key: "k"))
      for other in [
        try scene.submission(size: 3, key: "k"), try scene.submission(priority: 1, key: "k"),
        try scene.submission(algorithm: .ed25519, key: "k"), try scene.submission(source: "invoices", key: "k"),
      ] {
        await expectError(.conflict, naming: "\"k\"", "\(first.id)") { try await scene.store.submit(other) }
      }
    },

    ConformanceCase("concurrent submissions with one idempotency key make one job") { scene async throws in
      try await scene.putRecords(1)
      try await scene.addKeys(1)
      let submissions = try (0..<8).map { _ in try scene.submission(key: "k") }
      let store = scene.store
      let made = try await withThrowingTaskGroup(of: JobID.self) { group in
        for submission in submissions { group.addTask { try await store.submit(submission).id } }
        return try await group.reduce(into: Set()) { $0.insert($1) }
      }
      #expect(made.count == 1)
      #expect(try await scene.store.jobs(limit: 10, before: nil).map(\.id) == Array(made))
    },

    ConformanceCase("jobs are listed newest first, in pages") { scene async throws in
      try await scene.putRecords(1)
      try await scene.addKeys(1)
      var made: [JobID] = []
      for _ in 0..<5 {
        made.append(try await scene.store.submit(try scene.submission()).id)
        try await scene.advance(.milliseconds(1))
      }
      var listed: [JobID] = []
      var cursor: JobCursor?
      while true {
        let page = try await scene.store.jobs(limit: 2, before: cursor)
        guard let last = page.last else { break }
        #expect(page.count <= 2)
        listed += page.map(\.id)
        cursor = JobCursor(createdAt: last.createdAt, id: last.id)
      }
      #expect(listed == made.reversed())
    },
  ]

  static let jobStates = [
    ConformanceCase("a paused job gives out nothing and still takes results; resumed, it goes on") {
      scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      let batch = try await scene.claimOne()
      #expect(try await scene.store.setState(job.id, to: .paused).state == .paused)
      #expect(try await scene.store.setState(job.id, to: .paused).state == .paused)
      #expect(try await scene.claim(10) == [])
      #expect(
        try await scene.commit(try await scene.result(batch, lease)) == .committed(inserted: 2, alreadySigned: 0))
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [])
      #expect(try await scene.store.setState(job.id, to: .running).state == .running)
      #expect(try await scene.claim(10).count == 1)
    },

    ConformanceCase("the backlog is what waits for running jobs, and what signers have") { scene async throws in
      #expect(try await scene.store.backlog() == Backlog())
      try await scene.putRecords(10)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      #expect(try await scene.store.backlog() == Backlog(jobs: 1, batchesPending: 5))
      let batch = try await scene.claimOne()
      let other = try await scene.plannedJob()
      #expect(try await scene.store.backlog() == Backlog(jobs: 2, batchesPending: 9, batchesLeased: 1))
      _ = try await scene.store.setState(job.id, to: .paused)
      #expect(try await scene.store.backlog() == Backlog(jobs: 1, batchesPending: 5, batchesLeased: 1))
      _ = try await scene.commit(try await scene.result(batch, lease))
      _ = try await scene.store.setState(job.id, to: .running)
      _ = try await scene.store.setState(other.id, to: .cancelled)
      #expect(try await scene.store.backlog() == Backlog(jobs: 1, batchesPending: 4))
      for _ in 0..<4 { try await scene.signNext(lease) }
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      #expect(try await scene.store.backlog() == Backlog())
    },

    ConformanceCase("a paused job is not planned further") { scene async throws in
      try await scene.putRecords(4)
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission())
      _ = try await scene.store.setState(job.id, to: .paused)
      #expect(try await scene.store.plan(target: 10) == 0)
      _ = try await scene.store.setState(job.id, to: .running)
      #expect(try await scene.store.plan(target: 10) == 2)
    },

    ConformanceCase("cancelling refuses the results that are under way and gives out nothing more") {
      scene async throws in
      try await scene.putRecords(6)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      try await scene.signNext(lease)
      let batch = try await scene.claimOne()
      let result = try await scene.result(batch, lease)
      let cancelled = try await scene.store.setState(job.id, to: .cancelled)
      #expect(cancelled.state == .cancelled)
      #expect(cancelled.endedAt != nil)
      #expect(cancelled.counts.batchesLeased == 0)
      #expect(cancelled.counts.signed == 2)
      #expect(cancelled.counts.pending == 4)
      #expect(try await scene.commit(result) == .refused(.staleAttempt))
      #expect(try await scene.claim(10) == [])
      #expect(try await scene.storedCount() == 2)
      #expect(try await scene.store.setState(job.id, to: .cancelled) == cancelled)
      let source = try await scene.records()
      #expect(
        try await scene.store.status(.id(batch.firstID), source: source, job: job.id)?.state == .pending)
    },

    ConformanceCase("a job goes only where it may") { scene async throws in
      try await scene.putRecords(2)
      let lease = try await scene.leaseOfNewKey()
      await expectError(.notFound) { try await scene.store.setState(scene.id(), to: .paused) }
      let job = try await scene.plannedJob()
      await expectError(.wrongState, naming: "running", "done") {
        try await scene.store.setState(job.id, to: .done)
      }
      try await scene.signNext(lease)
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      for state in [JobState.running, .paused, .cancelled] {
        await expectError(.wrongState, naming: "\(job.id)") { try await scene.store.setState(job.id, to: state) }
      }
      #expect(try await scene.store.setState(job.id, to: .done).state == .done)
      let other = try await scene.plannedJob()
      _ = try await scene.store.setState(other.id, to: .cancelled)
      for state in [JobState.running, .paused, .done] {
        await expectError(.wrongState) { try await scene.store.setState(other.id, to: state) }
      }
    },

    ConformanceCase("a job is done when every batch has ended, and not before; no commit decides it") {
      scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission())
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [])
      #expect(try await scene.store.plan(target: 1) == 1)
      try await scene.signNext(lease)
      // Every batch that there is has ended, but more are to be planned.
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [])
      #expect(try await scene.store.plan(target: 1) == 1)
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [])
      try await scene.signNext(lease)
      #expect(try await scene.job(job.id).state == .running)
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [])
      let done = try await scene.job(job.id)
      #expect(done.state == .done)
      #expect(done.endedAt != nil)
      #expect(done.counts.planned == 4)
      #expect(done.counts.signed == 4)
      #expect(done.counts.pending == 0)
      #expect(done.counts.batches == 2)
      #expect(done.counts.batchesSigned == 2)
    },

    ConformanceCase("failed batches end a job, and a retry takes it up again with fresh budgets") {
      scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      try await scene.signNext(lease)
      #expect(try await scene.store.retryFailed(job.id) == 0)
      try await scene.failNext()
      var ended = try await scene.job(job.id)
      #expect(ended.counts.failed == 2)
      #expect(ended.counts.pending == 0)
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      ended = try await scene.job(job.id)
      #expect(ended.counts.failed == 2)

      #expect(try await scene.store.retryFailed(job.id) == 1)
      let running = try await scene.job(job.id)
      #expect(running.state == .running)
      #expect(running.endedAt == nil)
      #expect(running.counts.failed == 0)
      #expect(running.counts.pending == 2)
      // A fresh budget: one failure more does not end it.
      let batch = try await scene.claimOne()
      #expect(batch.batch.attempt == BatchBudget().failures + 1)
      _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .failed(reason: "again"))])
      try await scene.advance(.seconds(600))
      #expect(try await scene.signNext(lease) == .committed(inserted: 2, alreadySigned: 0))
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      #expect(try await scene.job(job.id).counts.signed == 4)
    },

    ConformanceCase("a retry needs a job that was not cancelled") { scene async throws in
      try await scene.putRecords(2)
      await expectError(.notFound) { try await scene.store.retryFailed(scene.id()) }
      let job = try await scene.plannedJob()
      _ = try await scene.store.setState(job.id, to: .cancelled)
      await expectError(.wrongState, naming: "cancelled") { try await scene.store.retryFailed(job.id) }
    },

    ConformanceCase("a retry counts rows anew that a mapped table has gained in the range") { scene async throws in
      let rows = [10, 20].map { SourceRow(id: $0, payload: [UInt8($0)]) }
      let mapped = try await scene.harness.addSource(named: "invoices", rows: rows)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(source: "invoices")
      let batch = try await scene.claimOne()
      try await scene.harness.replaceRows(of: mapped, with: rows + [SourceRow(id: 15, payload: [15])])
      #expect(try await scene.commit(try await scene.result(batch, lease)) == .refused(.wrongRecords))
      _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .drained)])
      try await scene.failNext()
      #expect(try await scene.store.retryFailed(job.id) == 1)
      #expect(try await scene.signNext(lease) == .committed(inserted: 3, alreadySigned: 0))
      #expect(try await scene.job(job.id).counts.planned == 3)
    },
  ]
}

extension Scene {
  /// Lets the next batch fail as often as its budget allows.
  func failNext() async throws {
    for _ in 0..<BatchBudget().failures {
      let batch = try await claimOne()
      _ = try await store.giveBack([ReturnedBatch(batch: batch.batch, cause: .failed(reason: "test"))])
      try await advance(.seconds(600))
    }
  }
}
