import Domain
import Storage
import Testing

// Refusals: each fence on its own turns a result away, with its reason, and nothing of the result is stored.
extension ConformanceCase {
  static let refusals = [
    ConformanceCase("an attempt that was taken back or given out again is stale") { scene async throws in
      try await scene.refuses(.staleAttempt) { scene, batch, lease in
        let result = try await scene.result(batch, lease)
        _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .drained)])
        return result
      }
      try await scene.refuses(.staleAttempt) { scene, batch, lease in
        let result = try await scene.result(batch, lease)
        _ = try await scene.store.giveBack([ReturnedBatch(batch: batch.batch, cause: .drained)])
        _ = try await scene.claimOne()
        return result
      }
    },

    ConformanceCase("a batch or a job that does not exist is stale") { scene async throws in
      try await scene.refuses(.staleAttempt) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.batch.jobID = scene.id()
        return result
      }
      try await scene.refuses(.staleAttempt) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.batch.seq = 77
        return result
      }
    },

    ConformanceCase("a batch that was signed under another lease is stale") { scene async throws in
      try await scene.putRecords(2)
      let lease = try await scene.leaseOfNewKey()
      let other = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let batch = try await scene.claimOne()
      _ = try await scene.commit(try await scene.result(batch, lease))
      #expect(try await scene.commit(try await scene.result(batch, other)) == .refused(.staleAttempt))
    },

    ConformanceCase("an older epoch is stale once the key is granted again") { scene async throws in
      try await scene.refuses(.staleLease) { scene, batch, lease in
        let result = try await scene.result(batch, lease)
        _ = try await scene.store.endLeases([lease.name])
        _ = try await scene.lease(lease.keyID)
        return result
      }
    },

    ConformanceCase("an expired lease commits until the key is granted again, and then no more") { scene async throws in
      try await scene.putRecords(4)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let batches = try await scene.claim(2)
      let results = [try await scene.result(batches[0], lease), try await scene.result(batches[1], lease)]
      try await scene.advance(.seconds(1100))
      #expect(try await scene.commit(results[0]) == .committed(inserted: 2, alreadySigned: 0))
      _ = try await scene.lease(lease.keyID)
      #expect(try await scene.commit(results[1]) == .refused(.staleLease))
    },

    ConformanceCase("another lease of the same epoch, as after a failover to a lagging replica, is stale") {
      scene async throws in
      try await scene.refuses(.staleLease) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.leaseID = scene.id()
        return result
      }
    },

    ConformanceCase("an epoch that was never granted is stale") { scene async throws in
      try await scene.refuses(.staleLease) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.epoch = Epoch(rawValue: lease.epoch.rawValue + 1)
        return result
      }
      try await scene.refuses(.staleLease) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.keyID = KeyID(rawValue: 9999)
        return result
      }
    },

    ConformanceCase("a key that was disabled in mid-batch refuses; enabled again, it is a stale lease") {
      scene async throws in
      try await scene.refuses(.keyDisabled) { scene, batch, lease in
        _ = try await scene.store.setState(lease.keyID, to: .disabled)
        return try await scene.result(batch, lease)
      }
      try await scene.refuses(.staleLease) { scene, batch, lease in
        _ = try await scene.store.setState(lease.keyID, to: .disabled)
        _ = try await scene.store.setState(lease.keyID, to: .active)
        return try await scene.result(batch, lease)
      }
    },

    ConformanceCase("a key that was retired in mid-batch may finish the batch") { scene async throws in
      try await scene.putRecords(2)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let batch = try await scene.claimOne()
      _ = try await scene.store.setState(lease.keyID, to: .retired)
      #expect(try await scene.store.renew(lease.keyID, lease: lease.leaseID, ttl: .seconds(1000)))
      #expect(
        try await scene.commit(try await scene.result(batch, lease)) == .committed(inserted: 2, alreadySigned: 0))
    },

    ConformanceCase("a lease commits for its own holder alone") { scene async throws in
      try await scene.refuses(.wrongHolder) { scene, batch, lease in
        var result = try await scene.result(batch, lease)
        result.signer = scene.id()
        return result
      }
    },

    ConformanceCase("a key of another algorithm than the job refuses") { scene async throws in
      try await scene.refuses(.wrongAlgorithm) { scene, batch, _ in
        let lease = try await scene.leaseOfNewKey(.ed25519)
        return try await scene.result(batch, lease)
      }
    },

    ConformanceCase("a result must have exactly the records of the batch") { scene async throws in
      typealias Change = @Sendable (inout SignedBatch, Scene, ClaimedBatch, Lease) -> Void
      let changes: [Change] = [
        { $0 = $1.result($2, $3, ids: Array($0.recordIDs.dropLast())) },
        { $0 = $1.result($2, $3, ids: $0.recordIDs + [$0.recordIDs.last! + 1]) },
        { $0 = $1.result($2, $3, ids: $0.recordIDs.map { $0 + 1 }) },
        { $0 = $1.result($2, $3, ids: $0.recordIDs.dropLast(), failing: [$0.recordIDs.last! + 1]) },
        { $0 = $1.result($2, $3, ids: []) },
        { $0 = $1.result($2, $3, ids: $0.recordIDs.reversed()) },
        { $0 = $1.result($2, $3, ids: [$0.recordIDs[0], $0.recordIDs[0]]) },
        { $0 = $1.result($2, $3, ids: [$0.recordIDs[0]], failing: [$0.recordIDs[0]]) },
        { result, _, _, _ in result.payloadDigests.removeLast() },
        { result, _, _, _ in result.signatures.append(0) },
        { result, _, _, _ in result.signatureSizes.removeLast() },
        { result, _, _, _ in result.missing = 1 },
        { result, _, _, _ in result.missing = -1 },
      ]
      for change in changes {
        try await scene.refuses(.wrongRecords) { scene, batch, lease in
          var result = try await scene.result(batch, lease)
          change(&result, scene, batch, lease)
          return result
        }
      }
    },

    ConformanceCase("what was refused does not hold up the results sent with it") { scene async throws in
      try await scene.putRecords(6)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      let batches = try await scene.claim(3)
      var results: [SignedBatch] = []
      for batch in batches { results.append(try await scene.result(batch, lease)) }
      results[1].signer = scene.id()
      #expect(
        try await scene.store.commit(results) == [
          .committed(inserted: 2, alreadySigned: 0), .refused(.wrongHolder),
          .committed(inserted: 2, alreadySigned: 0),
        ])
      #expect(try await scene.storedCount() == 4)
    },

    ConformanceCase("commits and grants of one key that race never overlap") { scene async throws in
      try await scene.putRecords(60)
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob(size: 1)
      var results: [SignedBatch] = []
      for batch in try await scene.claim(60) { results.append(try await scene.result(batch, lease)) }
      let all = results
      let store = scene.store
      _ = try await store.endLeases([lease.name])
      let request = try await scene.request(lease.keyID)
      let outcomes = try await withThrowingTaskGroup(of: [CommitOutcome].self) { group in
        for start in stride(from: 0, to: 60, by: 10) {
          group.addTask { try await store.commit(Array(all[start..<start + 10])) }
        }
        group.addTask {
          guard case .granted? = try await store.grant([request]).first else { throw Unexpected("not granted") }
          return []
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      let committed = outcomes.count { $0 == .committed(inserted: 1, alreadySigned: 0) }
      let refused = outcomes.count { $0 == .refused(.staleLease) }
      #expect(committed + refused == 60)
      #expect(try await scene.job(job.id).counts.signed == committed)
      let report = try await scene.store.audit()
      #expect(report.violations(of: .keyExclusive) == 0)
    },
  ]
}

extension Scene {
  /// Expects that what `make` does and sends for a fresh batch is refused for this reason, and that nothing is stored.
  func refuses(
    _ reason: CommitRefusal, sourceLocation: SourceLocation = #_sourceLocation,
    _ make: (Scene, ClaimedBatch, Lease) async throws -> SignedBatch
  ) async throws {
    let before = try await storedCount()
    let lease = try await leaseOfNewKey()
    try await putRecords(2)
    let job = try await plannedJob(size: 2)
    // Batches of earlier attempts are put aside.
    var batch = try await claimOne()
    while batch.batch.jobID != job.id { batch = try await claimOne() }
    let result = try await make(self, batch, lease)
    for _ in 0..<2 {
      #expect(try await commit(result) == .refused(reason), sourceLocation: sourceLocation)
    }
    #expect(try await storedCount() == before, sourceLocation: sourceLocation)
    #expect(try await self.job(job.id).counts.signed == 0, sourceLocation: sourceLocation)
  }
}
