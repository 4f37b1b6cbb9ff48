import Domain
import Storage
import Testing

// The state of a record follows from what is stored, and signatures are read in pages in the order of ids.
extension ConformanceCase {
  static let statuses = [
    ConformanceCase("a record is pending, then leased, then signed") { scene async throws in
      try await scene.putRecords(1)
      let source = try await scene.records()
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      let name = RecordName.id(RecordID(rawValue: 1))
      #expect(try await scene.store.status(name, source: source, job: nil)?.state == .pending)

      let batch = try await scene.claimOne()
      #expect(try await scene.store.status(name, source: source, job: nil)?.state == .leased)
      #expect(try await scene.store.status(name, source: source, job: job.id)?.state == .leased)

      _ = try await scene.commit(try await scene.result(batch, lease))
      let status = try #require(try await scene.store.status(name, source: source, job: job.id))
      #expect(status.state == .signed)
      #expect(status.failure == nil)
      let signature = try #require(status.signature)
      #expect(signature.jobID == job.id)
      #expect(signature.batchSeq == 0)
      #expect(signature.keyID == lease.keyID)
      #expect(signature.epoch == lease.epoch)
      #expect(signature.algorithm == .ecdsaP256)
      #expect(signature.signature == Scene.signature(1, lease.keyID))
      #expect(signature.payloadDigest == Scene.digest(1))
    },

    ConformanceCase(
      "a record that failed alone is failed in its job, with code and message, and may be signed by another"
    ) {
      scene async throws in
      try await scene.putRecords(2)
      let source = try await scene.records()
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      let batch = try await scene.claimOne()
      #expect(
        try await scene.commit(try await scene.result(batch, lease, failing: [2]))
          == .committed(inserted: 1, alreadySigned: 0))
      let name = RecordName.id(RecordID(rawValue: 2))
      let failed = try #require(try await scene.store.status(name, source: source, job: job.id))
      #expect(failed.state == .failed)
      #expect(failed.failure?.code == .signingFailed)
      #expect(failed.failure?.message == "cannot sign 2")
      #expect(failed.failedIn == job.id)

      let second = try await scene.plannedJob()
      #expect(try await scene.store.status(name, source: source, job: second.id)?.state == .pending)
      #expect(try await scene.store.status(name, source: source, job: nil)?.state == .failed)
      #expect(try await scene.signNext(lease) == .committed(inserted: 1, alreadySigned: 1))
      let signed = try #require(try await scene.store.status(name, source: source, job: job.id))
      #expect(signed.state == .signed)
      #expect(signed.failedIn == job.id)
    },

    ConformanceCase("the records of a failed batch are failed") { scene async throws in
      try await scene.putRecords(1)
      let job = try await scene.plannedJob()
      for _ in 0..<BatchBudget().failures {
        let batch = try await scene.claimOne()
        #expect(
          try await scene.store.giveBack([
            ReturnedBatch(batch: batch.batch, cause: .failed(reason: "no such cipher"))
          ]) == 1)
        try await scene.advance(.seconds(600))
      }
      let name = RecordName.id(RecordID(rawValue: 1))
      for asked in [nil, job.id] {
        let status = try #require(
          try await scene.store.status(name, source: try await scene.records(), job: asked))
        #expect(status.state == .failed)
        #expect(status.failure?.code == .batchFailed)
        #expect(status.failure?.message == "no such cipher")
        #expect(status.failedIn == job.id)
      }
    },

    ConformanceCase("a record beyond the job is pending in it") { scene async throws in
      try await scene.putRecords(3)
      let job = try await scene.plannedJob(size: 1)
      try await scene.putRecords(1)
      _ = try await scene.claim(3)
      let source = try await scene.records()
      let states = try await [1, 2, 3, 4].asyncMap { id in
        try await scene.store.status(.id(RecordID(rawValue: id)), source: source, job: job.id)?.state
      }
      #expect(states == [.leased, .leased, .leased, .pending])
    },

    ConformanceCase("a signature outlives the row that was signed") { scene async throws in
      let mapped = try await scene.harness.addSource(named: "invoices", rows: [SourceRow(id: 5, payload: [1])])
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob(source: "invoices")
      try await scene.signNext(lease)
      try await scene.harness.replaceRows(of: mapped, with: [])
      let name = RecordName.id(RecordID(rawValue: 5))
      #expect(try await scene.store.record(name, source: mapped) == nil)
      #expect(try await scene.store.status(name, source: mapped, job: nil)?.state == .signed)
      let query = SignatureQuery(source: mapped, job: nil, includesPayload: true)
      let exported = try await scene.store.signatures(query, after: nil, maximumBytes: .max)
      #expect(exported.map(\.recordID.rawValue) == [5])
      #expect(exported.first?.payload == nil)
    },
  ]

  static let exports = [
    ConformanceCase("signatures are exported in the order of ids, in pages") { scene async throws in
      try await scene.putRecords(9)
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob(size: 3)
      // Committed in the opposite order.
      let batches = try await scene.claim(3)
      for batch in batches.reversed() { _ = try await scene.commit(try await scene.result(batch, lease)) }
      let query = SignatureQuery(source: try await scene.records(), job: nil, includesPayload: false)
      var ids: [Int64] = []
      var pages = 0
      var after: RecordID?
      while true {
        let page = try await scene.store.signatures(query, after: after, maximumBytes: 400)
        guard let last = page.last else { break }
        #expect(page.count < 9)
        ids += page.map(\.recordID.rawValue)
        pages += 1
        after = last.recordID
        for signature in page {
          #expect(signature.signature == Scene.signature(signature.recordID.rawValue, lease.keyID))
          #expect(signature.payload == nil)
          #expect(signature.externalID == nil)
        }
      }
      #expect(ids == Array(1...9))
      #expect(pages > 1)
      #expect(try await scene.store.signatures(query, after: nil, maximumBytes: 1).count == 1)
    },

    ConformanceCase("the export of a job has what it signed and not what others did") { scene async throws in
      let lease = try await scene.leaseOfNewKey()
      try await scene.putRecords(3)
      let first = try await scene.plannedJob(size: 2)
      while case .committed? = try await scene.signNextIfAny(lease) {}
      try await scene.putRecords(4, from: 4)
      let second = try await scene.plannedJob(size: 2)
      while case .committed? = try await scene.signNextIfAny(lease) {}
      let source = try await scene.records()
      func exported(_ job: JobID?, after: Int64? = nil) async throws -> [Int64] {
        let query = SignatureQuery(source: source, job: job, includesPayload: false)
        return try await scene.store.signatures(
          query, after: after.map { RecordID(rawValue: $0) }, maximumBytes: .max
        ).map(\.recordID.rawValue)
      }
      #expect(try await exported(nil) == [1, 2, 3, 4, 5, 6, 7])
      #expect(try await exported(first.id) == [1, 2, 3])
      #expect(try await exported(second.id) == [4, 5, 6, 7])
      #expect(try await exported(second.id, after: 5) == [6, 7])
      #expect(try await exported(second.id, after: 7) == [])
      #expect(try await exported(scene.id()) == [])
    },

    ConformanceCase("an export with payloads has payloads and external ids, and counts their bytes") {
      scene async throws in
      _ = try await scene.store.put([
        NewRecord(payload: Array(repeating: 1, count: 5000), externalID: "a"),
        NewRecord(payload: Array(repeating: 2, count: 5000), externalID: nil),
      ])
      let lease = try await scene.leaseOfNewKey()
      let job = try await scene.plannedJob()
      try await scene.signNext(lease)
      for asked in [nil, job.id] {
        let query = SignatureQuery(source: try await scene.records(), job: asked, includesPayload: true)
        let all = try await scene.store.signatures(query, after: nil, maximumBytes: 20_000)
        #expect(all.map(\.externalID) == ["a", nil])
        #expect(all.map { $0.payload?.first } == [1, 2])
        #expect(all.map { $0.payload?.count } == [5000, 5000])
        #expect(try await scene.store.signatures(query, after: nil, maximumBytes: 6000).count == 1)
      }
    },
  ]
}

extension Sequence {
  fileprivate func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
    var results: [T] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}

extension Scene {
  /// Signs the next batch under the lease; nil if none waits.
  func signNextIfAny(_ lease: Lease) async throws -> CommitOutcome? {
    guard let batch = try await claim().first else { return nil }
    return try await commit(try await result(batch, lease))
  }
}
