import Domain
import Storage
import Testing

// Batches: planned once and whole, given out to one coordinator at a time in the order of rank, and taken back by
// compare-and-set on the attempt.
extension ConformanceCase {
  static let planning = [
    ConformanceCase("a job is planned in batches of its size, the last one smaller") { scene async throws in
      try await scene.putRecords(7)
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission(size: 3))
      #expect(try await scene.store.plan(target: 10) == 3)
      let planned = try await scene.job(job.id)
      #expect(planned.isPlanned)
      #expect(planned.counts.planned == 7)
      #expect(planned.counts.batches == 3)
      #expect(planned.counts.pending == 7)
      let batches = try await scene.claim(10)
      #expect(batches.map(\.batch.seq) == [0, 1, 2])
      #expect(batches.map(\.count) == [3, 3, 1])
      #expect(batches.map(\.firstID.rawValue) == [1, 4, 7])
      #expect(batches.map(\.lastID.rawValue) == [3, 6, 7])
      #expect(batches.allSatisfy { $0.batch.attempt == 1 && $0.algorithm == .ecdsaP256 })
      let source = try await scene.records()
      #expect(batches.allSatisfy { $0.source == source })
    },

    ConformanceCase("planning keeps as many batches waiting as asked for, and never plans a record twice") {
      scene async throws in
      try await scene.putRecords(20)
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission(size: 2))
      #expect(try await scene.store.plan(target: 3) == 3)
      #expect(try await scene.store.plan(target: 3) == 0)
      #expect(!(try await scene.job(job.id).isPlanned))
      var seen = try await scene.claim(2)
      #expect(try await scene.store.plan(target: 3) == 2)
      seen += try await scene.claim(100)
      #expect(try await scene.store.plan(target: 100) == 5)
      #expect(try await scene.store.plan(target: 100) == 0)
      #expect(try await scene.job(job.id).isPlanned)
      seen += try await scene.claim(100)
      #expect(seen.map(\.batch.seq) == Array(0..<10))
      #expect(seen.flatMap { $0.firstID.rawValue...$0.lastID.rawValue } == Array(1...20))
    },

    ConformanceCase("records put after the submission do not belong to the job") { scene async throws in
      try await scene.putRecords(3)
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission(size: 2))
      try await scene.putRecords(3)
      #expect(try await scene.store.plan(target: 10) == 2)
      #expect(try await scene.job(job.id).counts.planned == 3)
      #expect(try await scene.claim(10).last?.lastID.rawValue == 3)
    },

    ConformanceCase("ids may be sparse, negative, and as far apart as ids can be") { scene async throws in
      let ids: [Int64] = [.min, -7, -6, 0, 3, 1_000_000_007, .max]
      _ = try await scene.harness.addSource(
        named: "extreme", rows: ids.map { SourceRow(id: $0, payload: [1]) })
      let job = try await scene.plannedJob(size: 2, source: "extreme")
      #expect(job.isPlanned)
      #expect(job.recordBound.rawValue == .max)
      let batches = try await scene.claim(10)
      #expect(batches.map(\.firstID.rawValue) == [.min, -6, 3, .max])
      #expect(batches.map(\.lastID.rawValue) == [-7, 0, 1_000_000_007, .max])
      #expect(batches.map(\.count) == [2, 2, 2, 1])
      let lease = try await scene.leaseOfNewKey()
      for batch in batches {
        #expect(
          try await scene.commit(try await scene.result(batch, lease))
            == .committed(inserted: batch.count, alreadySigned: 0))
      }
      let query = SignatureQuery(source: batches[0].source, job: nil, includesPayload: false)
      #expect(
        try await scene.store.signatures(query, after: nil, maximumBytes: .max).map(\.recordID.rawValue) == ids)
    },

    ConformanceCase("a source that was emptied after the submission is planned as nothing, and the job ends") {
      scene async throws in
      let mapped = try await scene.harness.addSource(named: "invoices", rows: [SourceRow(id: 5, payload: [1])])
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission(source: "invoices"))
      try await scene.harness.replaceRows(of: mapped, with: [])
      #expect(try await scene.store.plan(target: 10) == 0)
      #expect(try await scene.job(job.id).isPlanned)
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
    },

    ConformanceCase("concurrent planners plan every record once") { scene async throws in
      try await scene.putRecords(40)
      try await scene.addKeys(1)
      let job = try await scene.store.submit(try scene.submission(size: 1))
      let store = scene.store
      let planned = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<6 { group.addTask { try await store.plan(target: 40) } }
        return try await group.reduce(0, +)
      }
      #expect(planned == 40)
      #expect(try await scene.job(job.id).counts.planned == 40)
      let batches = try await scene.claim(100)
      #expect(batches.map(\.batch.seq) == Array(0..<40))
      #expect(batches.map(\.firstID.rawValue) == Array(1...40))
    },
  ]

  static let claims = [
    ConformanceCase("batches are given out by priority, and in turns to jobs of one priority, in order") {
      scene async throws in
      try await scene.putRecords(4)
      let old = try await scene.plannedJob(priority: 0)
      let young = try await scene.plannedJob(priority: 0)
      let urgent = try await scene.plannedJob(priority: 5)
      let order = try await scene.claim(10).map { "\($0.batch.jobID) \($0.batch.seq)" }
      #expect(
        order == [(urgent, 0), (urgent, 1), (old, 0), (young, 0), (old, 1), (young, 1)].map { "\($0.id) \($1)" })
    },

    ConformanceCase("jobs of one priority have equally many batches out") { scene async throws in
      try await scene.putRecords(20)
      let old = try await scene.plannedJob(size: 1)
      let claimed = try await scene.claim(4)
      #expect(claimed.allSatisfy { $0.batch.jobID == old.id })
      let young = try await scene.plannedJob(size: 1)
      // The young one catches up, one batch at a time; then they take turns.
      var turns: [JobID] = []
      for _ in 1...8 { turns += try await scene.claim(1).map(\.batch.jobID) }
      #expect(turns == [young, young, young, young, old, young, old, young].map(\.id))
      // What comes back makes room for its job.
      let returned = claimed.prefix(2).map { ReturnedBatch(batch: $0.batch, cause: .drained) }
      #expect(try await scene.store.giveBack(returned) == 2)
      #expect(try await scene.claim(2).map(\.batch.jobID) == [old.id, old.id])
    },

    ConformanceCase("no more are given out than asked for, and each once") { scene async throws in
      try await scene.putRecords(6)
      _ = try await scene.plannedJob()
      let first = try await scene.claim(2)
      let second = try await scene.claim(2)
      #expect(first.map(\.batch.seq) == [0, 1])
      #expect(second.map(\.batch.seq) == [2])
      #expect(try await scene.claim(2) == [])
    },

    ConformanceCase("only batches of the algorithms asked for are given out") { scene async throws in
      try await scene.putRecords(4)
      let job = try await scene.plannedJob()
      #expect(try await scene.claim(10, of: []) == [])
      #expect(try await scene.claim(10, of: [.ed25519, .rsaPSS2048]) == [])
      #expect(try await scene.claim(10, of: [.ed25519, job.algorithm]).map(\.batch.seq) == [0, 1])
    },

    ConformanceCase("concurrent claims never give out one batch twice") { scene async throws in
      try await scene.putRecords(200)
      _ = try await scene.plannedJob(size: 2)
      let store = scene.store
      let coordinators: [CoordinatorID] = (0..<8).map { _ in scene.id() }
      for coordinator in coordinators { try await store.heartbeat(coordinator) }
      let claims: [(CoordinatorID, ClaimID)] = coordinators.flatMap { coordinator in
        (0..<10).map { _ in (coordinator, scene.id()) }
      }
      let seqs = try await withThrowingTaskGroup(of: [Int32].self) { group in
        for (coordinator, claim) in claims {
          group.addTask {
            try await store.claim([.ecdsaP256], coordinator: coordinator, claim: claim, limit: 3).map(\.batch.seq)
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      let rest = try await scene.claim(1000).map(\.batch.seq)
      #expect((seqs + rest).sorted() == Array(0..<100))
    },

    ConformanceCase("a claim whose acknowledgement was lost is found by its coordinator") { scene async throws in
      try await scene.putRecords(6)
      _ = try await scene.plannedJob()
      let mine: CoordinatorID = scene.id()
      let lost = try await scene.claim(2, by: mine)
      let others = try await scene.claim(1)
      #expect(try await scene.store.batchesClaimed(by: mine) == lost.map(\.batch))
      #expect(try await scene.store.batchesClaimed(by: scene.id()) == [])
      #expect(
        try await scene.store.giveBack(lost.map { ReturnedBatch(batch: $0.batch, cause: .drained) }) == 2)
      #expect(try await scene.store.batchesClaimed(by: mine) == [])
      let again = try await scene.claim(10)
      #expect(again.map(\.batch.seq) == [0, 1])
      #expect(again.map(\.batch.attempt) == [2, 2])
      #expect(others.map(\.batch.seq) == [2])
    },
  ]

  static let returns = [
    ConformanceCase("a batch that is given back waits as long as its cause asks for") { scene async throws in
      try await scene.putRecords(2)
      _ = try await scene.plannedJob()
      // Cause, and whether it may be given out again at once.
      let causes: [(BatchReturn, Bool)] = [
        (.drained, true), (.signerLost, true), (.keyUnavailable, false), (.signerLost, false),
        (.failed(reason: "x"), false),
      ]
      for (attempt, (cause, isAtOnce)) in causes.enumerated() {
        let batch = try await scene.claimOne()
        #expect(batch.batch.attempt == Int32(attempt + 1))
        #expect(try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: cause)]) == 1)
        if !isAtOnce {
          #expect(try await scene.claim() == [], "after \(cause)")
          try await scene.advance(.seconds(600))
        }
      }
      #expect(try await scene.claim().count == 1)
    },

    ConformanceCase("a backoff is no longer than the policy says, however often a batch has come back") {
      scene async throws in
      try await scene.putRecords(2)
      _ = try await scene.plannedJob()
      for _ in 0..<10 {
        let batch = try await scene.claimOne()
        _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .signerLost)])
        try await scene.advance(.seconds(600))
      }
      let batch = try await scene.claimOne()
      _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .signerLost)])
      #expect(try await scene.claim() == [])
    },

    ConformanceCase("failures and lost signers have budgets of their own") { scene async throws in
      try await scene.putRecords(2)
      let job = try await scene.plannedJob()
      let budget = BatchBudget()
      func give(_ cause: BatchReturn, _ times: Int32) async throws {
        for _ in 0..<times {
          let batch = try await scene.claimOne()
          _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: cause)])
          try await scene.advance(.seconds(600))
        }
      }
      try await give(.drained, 30)
      try await give(.keyUnavailable, 30)
      try await give(.signerLost, budget.signerLosses - 1)
      try await give(.failed(reason: "x"), budget.failures - 1)
      #expect(try await scene.job(job.id).counts.failed == 0)
      try await give(.signerLost, 1)
      #expect(try await scene.job(job.id).counts.failed == 2)
      #expect(try await scene.claim() == [])
      #expect(try await scene.store.endFinishedJobs().map(\.id) == [job.id])
    },

    ConformanceCase("only the attempt that is leased can be given back") { scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let first = try await scene.claimOne()
      let gone = ReturnedBatch(batch: first.batch, cause: .failed(reason: "x"))
      #expect(try await scene.store.giveBack([gone]) == 1)
      #expect(try await scene.store.giveBack([gone]) == 0)
      try await scene.advance(.seconds(600))
      let second = try await scene.claimOne()
      #expect(try await scene.store.giveBack([gone, gone]) == 0)
      _ = try await scene.commit(try await scene.result(second, lease))
      #expect(try await scene.store.giveBack([ReturnedBatch(batch: second.batch, cause: .drained)]) == 0)
      let unknown = BatchAttempt(jobID: scene.id(), seq: 0, attempt: 1)
      let beyond = BatchAttempt(jobID: second.batch.jobID, seq: 99, attempt: 1)
      let other = try await scene.claimOne()
      #expect(
        try await scene.store.giveBack(
          [unknown, beyond, other.batch].map { ReturnedBatch(batch: $0, cause: .drained) }) == 1)
      #expect(try await scene.store.giveBack([]) == 0)
    },
  ]

  static let coordinators = [
    ConformanceCase("the batches of a coordinator that lives stay its own") { scene async throws in
      try await scene.putRecords(2)
      _ = try await scene.plannedJob()
      let coordinator: CoordinatorID = scene.id()
      _ = try await scene.claim(1, by: coordinator)
      try await scene.advance(.seconds(300))
      try await scene.store.heartbeat(coordinator)
      try await scene.advance(.seconds(300))
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 0)
      #expect(try await scene.store.batchesClaimed(by: coordinator).count == 1)
    },

    ConformanceCase("the batches of a stale coordinator are taken back, and its late result is refused") {
      scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let stale: CoordinatorID = scene.id()
      let batches = try await scene.claim(2, by: stale)
      let late = try await scene.result(batches[0], lease)
      try await scene.advance(.seconds(500))
      try await scene.store.heartbeat(scene.id())
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 2)
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 0)
      #expect(try await scene.store.batchesClaimed(by: stale) == [])
      #expect(try await scene.commit(late) == .refused(.staleAttempt))
      let again = try await scene.claim(10)
      #expect(again.map(\.batch.seq) == [0, 1])
      #expect(again.map(\.batch.attempt) == [2, 2])
      #expect(try await scene.commit(late) == .refused(.staleAttempt))
      #expect(
        try await scene.commit(try await scene.result(again[0], lease)) == .committed(inserted: 2, alreadySigned: 0))
    },

    ConformanceCase("a stale coordinator that comes back is registered again") { scene async throws in
      try await scene.putRecords(4)
      _ = try await scene.plannedJob()
      let coordinator: CoordinatorID = scene.id()
      _ = try await scene.claim(1, by: coordinator)
      try await scene.advance(.seconds(6000))
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 1)
      let again = try await scene.claim(1, by: coordinator)
      #expect(again.count == 1)
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 0)
      #expect(try await scene.store.batchesClaimed(by: coordinator) == again.map(\.batch))
    },

    ConformanceCase("what an unregistered coordinator left behind is taken back at once") { scene async throws in
      try await scene.putRecords(2)
      _ = try await scene.plannedJob()
      let coordinator: CoordinatorID = scene.id()
      _ = try await scene.claim(1, by: coordinator)
      try await scene.store.unregister(coordinator)
      try await scene.store.unregister(coordinator)
      #expect(try await scene.store.reclaimFromStaleCoordinators(timeout: .seconds(400)) == 1)
    },
  ]
}
