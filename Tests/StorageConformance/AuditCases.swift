import Domain
import Storage
import Testing

// The audit: it finds nothing in what the stores did, and each kind of damage where it was inflicted.
extension ConformanceCase {
  static let audits = [
    ConformanceCase("an empty store has nothing to find") { scene async throws in
      let report = try await scene.store.audit()
      #expect(report.violations == 0)
      #expect(report.findings.map(\.invariant.rawValue) == [1, 2, 4, 5, 6, 7, 8, 9])
      #expect(report.findings.allSatisfy { $0.checked == 0 && $0.undecidable == 0 && $0.examples == [] })
    },

    ConformanceCase("a busy history has nothing to find, and the audit says how much it has looked at") {
      scene async throws in
      _ = try await scene.busyHistory()
      let report = try await scene.store.audit()
      for finding in report.findings {
        #expect(finding.violations == 0, "\(finding)")
        #expect(finding.undecidable == 0, "\(finding)")
      }
      let checked = report.findings.map { "\($0.invariant.rawValue): \($0.checked)" }
      #expect(checked == ["1: 9", "2: 8", "4: 5", "5: 8", "6: 5", "7: 5", "8: 0", "9: 1"])
    },

    ConformanceCase("a signature that was lost is noticed") { scene async throws in
      _ = try await scene.busyHistory()
      try await scene.harness.inflict(.lostSignature(RecordID(rawValue: 4)))
      let report = try await scene.store.audit()
      #expect(report.violations(of: .nothingLost) == 1)
      #expect(report.violations(of: .countsAgree) == 1)
      #expect(report.findings.first?.examples.first?.contains("record 4 ") == true, "\(report)")
    },

    ConformanceCase("a second signature over a record is noticed") { scene async throws in
      _ = try await scene.busyHistory()
      try await scene.harness.inflict(.secondSignature(RecordID(rawValue: 4)))
      #expect(try await scene.store.audit().violations(of: .signedOnce) > 0)
    },

    ConformanceCase("a batch with signatures by two keys is noticed") { scene async throws in
      _ = try await scene.busyHistory()
      let other = try #require(try await scene.addKeys(1).first)
      try await scene.harness.inflict(.foreignSignature(RecordID(rawValue: 4), other))
      #expect(try await scene.store.audit().violations(of: .oneKeyPerBatch) == 1)
    },

    ConformanceCase("a batch under a lease that was never granted is noticed") { scene async throws in
      let job = try await scene.busyHistory()
      try await scene.harness.inflict(.unknownLease(job.id, seq: 1, scene.id()))
      #expect(try await scene.store.audit().violations(of: .keyExclusive) == 1)
    },

    ConformanceCase("a commit after the next grant of its key is noticed") { scene async throws in
      let job = try await scene.busyHistory()
      try await scene.harness.inflict(.lateCommit(job.id, seq: 0))
      #expect(try await scene.store.audit().violations(of: .keyExclusive) == 1)
    },

    ConformanceCase("counts that disagree with what is stored are noticed") { scene async throws in
      let job = try await scene.busyHistory()
      try await scene.harness.inflict(.wrongCount(job.id, seq: 0, inserted: 1))
      #expect(try await scene.store.audit().violations(of: .countsAgree) == 1)
    },

    ConformanceCase("a batch size that changed is noticed") { scene async throws in
      let job = try await scene.busyHistory()
      try await scene.harness.inflict(.batchSize(job.id, 3))
      #expect(try await scene.store.audit().violations(of: .batchSizeFixed) == 1)
    },

    ConformanceCase("a row that a mapped table gained later cannot be decided") { scene async throws in
      let rows = [10, 20].map { SourceRow(id: $0, payload: [UInt8($0)]) }
      let mapped = try await scene.harness.addSource(named: "invoices", rows: rows)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob(source: "invoices")
      try await scene.signNext(lease)
      _ = try await scene.store.endFinishedJobs()
      try await scene.harness.replaceRows(of: mapped, with: rows + [SourceRow(id: 15, payload: [15])])
      let report = try await scene.store.audit()
      #expect(report.violations == 0)
      #expect(report.findings.first?.undecidable == 1)
    },
  ]
}

extension Scene {
  /// Nine records in five batches of a job that is done, by two keys in turn: one record failed alone, one batch came back,
  /// and one result was sent late.
  fileprivate func busyHistory() async throws -> Job {
    try await putRecords(9)
    let keys = try await addKeys(2)
    let job = try await plannedJob(size: 2)
    try await beginGeneration()
    var ranks: [KeyID: Int64] = [:]
    for turn in 0..<5 {
      let key = keys[turn % 2]
      let lease = try await lease(key, rank: ranks[key] ?? 0)
      var batch = try await claimOne()
      if turn == 2 {
        let late = try await result(batch, lease)
        _ = try await store.giveBack([ReturnedBatch(batch: batch.batch, cause: .signerLost)])
        batch = try await claimOne()
        #expect(try await commit(late) == .refused(.staleAttempt))
      }
      guard case .committed = try await commit(try await result(batch, lease, failing: turn == 1 ? [3] : [])) else {
        throw Unexpected("not committed")
      }
      ranks[key] = try await release(lease, isExpiry: turn == 3)
    }
    #expect(try await store.endFinishedJobs().map(\.id) == [job.id])
    return try await self.job(job.id)
  }
}
