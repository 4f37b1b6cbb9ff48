import Domain
import Storage
import Testing

// Commits: a result is stored once and whole, under the newest attempt, epoch and lease, or refused with the reason; and
// whatever is sent again is answered as before.
extension ConformanceCase {
  static let commits = [
    ConformanceCase("a result is stored whole, and the counts follow") { scene async throws in
      try await scene.putRecords(5)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(size: 3)
      let batches = try await scene.claim(2)
      let results = [
        try await scene.result(batches[0], lease), try await scene.result(batches[1], lease, failing: [5]),
      ]
      #expect(
        try await scene.store.commit(results) == [
          .committed(inserted: 3, alreadySigned: 0), .committed(inserted: 1, alreadySigned: 0),
        ])
      let counts = try await scene.job(job.id).counts
      #expect(counts.planned == 5)
      #expect(counts.signed == 4)
      #expect(counts.failed == 1)
      #expect(counts.alreadySigned == 0)
      #expect(counts.pending == 0)
      #expect(counts.batchesSigned == 2)
      #expect(counts.batchesLeased == 0)
      #expect(try await scene.store.commit([]) == [])
    },

    ConformanceCase("a result sent twice is committed again with the same numbers, whether in one call or in two") {
      scene async throws in
      try await scene.putRecords(3)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(size: 3)
      let result = try await scene.result(try await scene.claimOne(), lease, failing: [2])
      let outcome = CommitOutcome.committed(inserted: 2, alreadySigned: 0)
      #expect(try await scene.store.commit([result, result]) == [outcome, outcome])
      _ = try await scene.release(lease)
      #expect(try await scene.commit(result) == outcome)
      // The key has gone on to another lease, and the answer is still the same.
      _ = try await scene.lease(lease.keyID)
      #expect(try await scene.commit(result) == outcome)
      #expect(try await scene.storedCount() == 2)
      #expect(try await scene.job(job.id).counts.failed == 1)
    },

    ConformanceCase("records that another job has signed are counted, and keep their signatures") {
      scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      let other = try await scene.leaseOfNewKey()
      let first = try await scene.plannedJob(size: 2)
      try await scene.putRecords(1)
      let second = try await scene.plannedJob(size: 5)
      let firstBatch = try await scene.claimOne()
      _ = try await scene.commit(try await scene.result(firstBatch, lease))
      let open = try await scene.claimOne()
      #expect(open.batch.jobID == first.id)
      let batch = try await scene.claimOne()
      #expect(batch.batch.jobID == second.id)
      let result = try await scene.result(batch, other)
      let outcome = CommitOutcome.committed(inserted: 3, alreadySigned: 2)
      #expect(try await scene.commit(result) == outcome)
      #expect(try await scene.commit(result) == outcome)
      #expect(
        try await scene.commit(try await scene.result(open, lease)) == .committed(inserted: 0, alreadySigned: 2))
      let source = try await scene.records()
      for (id, key, job) in [(1, lease.keyID, first.id), (3, other.keyID, second.id)] {
        let name = RecordName.id(RecordID(rawValue: Int64(id)))
        let signature = try #require(try await scene.store.status(name, source: source, job: nil)?.signature)
        #expect(signature.keyID == key)
        #expect(signature.jobID == job)
        #expect(signature.signature == Scene.signature(Int64(id), key))
      }
      let counts = try await scene.job(second.id).counts
      #expect(counts.signed == 3)
      #expect(counts.alreadySigned == 2)
      #expect(counts.pending == 0)
    },

    ConformanceCase("two jobs over the same records, committed at once, sign each record once") { scene async throws in
      try await scene.putRecords(60)
      let leases = [try await scene.leaseOfNewKey(), try await scene.leaseOfNewKey()]
      let jobs = [try await scene.plannedJob(size: 20), try await scene.plannedJob(size: 15)]
      let batches = try await scene.claim(100)
      #expect(batches.count == 7)
      let results = try await withSignedBatches(scene, batches, jobs: jobs, leases: leases)
      let store = scene.store
      let outcomes = try await withThrowingTaskGroup(of: CommitOutcome?.self) { group in
        for result in results { group.addTask { try await store.commit([result]).first } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      var inserted = 0
      for outcome in outcomes {
        guard case .committed(let new, _)? = outcome else {
          Issue.record("\(String(describing: outcome))")
          continue
        }
        inserted += new
      }
      #expect(inserted == 60)
      #expect(try await scene.storedCount() == 60)
      for job in jobs {
        let counts = try await scene.job(job.id).counts
        #expect(counts.signed + counts.alreadySigned == 60)
        #expect(counts.pending == 0)
      }
      #expect(try await scene.store.audit().violations == 0)
    },

    ConformanceCase("a batch whose records have all failed alone is signed by nobody and ends") { scene async throws in
      try await scene.putRecords(2)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      let result = try await scene.result(try await scene.claimOne(), lease, failing: [1, 2])
      #expect(try await scene.commit(result) == .committed(inserted: 0, alreadySigned: 0))
      #expect(try await scene.commit(result) == .committed(inserted: 0, alreadySigned: 0))
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
      #expect(try await scene.job(job.id).counts.failed == 2)
    },

    ConformanceCase("records that are gone from the source are counted as failed") { scene async throws in
      let rows = [10, 20, 30].map { SourceRow(id: $0, payload: [UInt8($0)]) }
      let mapped = try await scene.harness.addSource(named: "invoices", rows: rows)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(size: 3, source: "invoices")
      let batch = try await scene.claimOne()
      try await scene.harness.replaceRows(of: mapped, with: rows.filter { $0.id == 10 })
      var result = try await scene.result(batch, lease)
      #expect(result.recordIDs == [10])
      #expect(try await scene.commit(result) == .refused(.wrongRecords))
      result.missing = 2
      #expect(try await scene.commit(result) == .committed(inserted: 1, alreadySigned: 0))
      let counts = try await scene.job(job.id).counts
      #expect(counts.signed == 1)
      #expect(counts.failed == 2)
      #expect(counts.pending == 0)
    },

    ConformanceCase("one key may commit many batches at once") { scene async throws in
      try await scene.putRecords(80)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(size: 2)
      var results: [SignedBatch] = []
      for batch in try await scene.claim(40) { results.append(try await scene.result(batch, lease)) }
      let store = scene.store
      let all = results
      try await withThrowingTaskGroup(of: Void.self) { group in
        for start in stride(from: 0, to: 40, by: 5) {
          group.addTask {
            let outcomes = try await store.commit(Array(all[start..<start + 5]))
            #expect(outcomes == Array(repeating: .committed(inserted: 2, alreadySigned: 0), count: 5))
          }
        }
        try await group.waitForAll()
      }
      #expect(try await scene.job(job.id).counts.signed == 80)
    },

    ConformanceCase("two results of one attempt, committed at once, store one") { scene async throws in
      try await scene.putRecords(2)
      let leases = [try await scene.leaseOfNewKey(), try await scene.leaseOfNewKey()]
      _ = try await scene.plannedJob()
      let batch = try await scene.claimOne()
      let results = [try await scene.result(batch, leases[0]), try await scene.result(batch, leases[1])]
      let store = scene.store
      let outcomes = try await withThrowingTaskGroup(of: CommitOutcome?.self) { group in
        for result in results { group.addTask { try await store.commit([result]).first } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(outcomes.contains(.committed(inserted: 2, alreadySigned: 0)))
      #expect(outcomes.contains(.refused(.staleAttempt)))
      #expect(try await scene.storedCount() == 2)
    },

    ConformanceCase("a commit needs no coordinator: a signer may send its result through another") {
      scene async throws in
      try await scene.putRecords(2)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let coordinator: CoordinatorID = scene.id()
      let batch = try #require(try await scene.claim(1, by: coordinator).first)
      let result = try await scene.result(batch, lease)
      try await scene.store.unregister(coordinator)
      #expect(try await scene.commit(result) == .committed(inserted: 2, alreadySigned: 0))
    },

    ConformanceCase("a released key still commits what it signed, until it is granted again") { scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let batches = try await scene.claim(2)
      _ = try await scene.release(lease)
      #expect(
        try await scene.commit(try await scene.result(batches[0], lease)) == .committed(inserted: 2, alreadySigned: 0))
      _ = try await scene.lease(lease.keyID)
      #expect(try await scene.commit(try await scene.result(batches[1], lease)) == .refused(.staleLease))
    },
  ]

  /// The results of all batches, each signed under the lease of its job.
  private static func withSignedBatches(
    _ scene: Scene, _ batches: [ClaimedBatch], jobs: [Job], leases: [Lease]
  ) async throws -> [SignedBatch] {
    var results: [SignedBatch] = []
    for batch in batches {
      let index = try #require(jobs.firstIndex { $0.id == batch.batch.jobID })
      results.append(try await scene.result(batch, leases[index]))
    }
    return results
  }
}
