import Domain
import Storage
import Testing

// What is signed of a record, and records that nobody can sign.
extension ConformanceCase {
  static let forms = [
    ConformanceCase("a job has the form that it was submitted with, and so have its batches and signatures") {
      scene async throws in
      for form in SignatureForm.allCases {
        try await scene.putRecords(2)
        let lease = try await scene.leaseOfNewKey()
        var submission = try scene.submission(key: form.rawValue)
        submission.form = form
        let job = try await scene.store.submit(submission)
        #expect(job.form == form)
        submission.form = form == .raw ? .jws : .raw
        await expectError(.conflict, naming: "\(job.id)") { try await scene.store.submit(submission) }
        _ = try await scene.store.plan(target: 10)
        // The second job comes to the records of the first, which are signed.
        var batch = try await scene.claimOne()
        while batch.batch.jobID != job.id || form == .jws && batch.batch.seq == 0 { batch = try await scene.claimOne() }
        #expect(batch.form == form)
        var result = try await scene.result(batch, lease)
        result.form = form == .raw ? .jws : .raw
        #expect(try await scene.store.commit([result]) == [.refused(.wrongAlgorithm)])
        result.form = form
        #expect(try await scene.store.commit([result]) == [.committed(inserted: 2, alreadySigned: 0)])
        let query = SignatureQuery(source: try await scene.records(), job: job.id, includesPayload: false)
        let stored = try await scene.store.signatures(query, after: nil, maximumBytes: .max)
        #expect(stored.map(\.form) == [form, form])
        let record = try #require(stored.first?.recordID)
        let status = try await scene.store.status(.id(record), source: try await scene.records(), job: nil)
        #expect(status?.signature?.form == form && status?.state == .signed)
      }
    },

    ConformanceCase("external ids come without payloads where they alone are asked for") { scene async throws in
      _ = try await scene.store.put([
        NewRecord(payload: [1], externalID: "one"), NewRecord(payload: [2], externalID: nil),
      ])
      let lease = try await scene.leaseOfNewKey()
      _ = try await scene.plannedJob()
      _ = try await scene.store.commit([try await scene.result(try await scene.claimOne(), lease)])
      let query = SignatureQuery(
        source: try await scene.records(), job: nil, includesPayload: false, includesExternalID: true)
      let stored = try await scene.store.signatures(query, after: nil, maximumBytes: .max)
      #expect(stored.map(\.externalID) == ["one", nil])
      #expect(stored.map(\.payload) == [nil, nil])
    },

    ConformanceCase("a payload of a mapped table that is above the limit fails alone, and is not read") {
      scene async throws in
      let limit = Record.maximumPayloadBytes
      let sizes = [3, limit + 1, limit, 2 * limit, 0]
      let rows = sizes.enumerated().map { index, size in
        SourceRow(id: Int64(index), payload: [UInt8](repeating: 7, count: size))
      }
      _ = try await scene.harness.addSource(named: "large", rows: rows)
      let job = try await scene.plannedJob(size: 5, source: "large")
      let batch = try await scene.claimOne()
      #expect(batch.count == 5)
      var ids: [Int64] = []
      var failures: [RecordFailure] = []
      var after: RecordID?
      while true {
        let page = try await scene.store.payloads(of: batch, after: after, maximumBytes: limit)
        guard let last = page.lastID else { break }
        #expect(page.payloads.count <= limit && page.payloads.count == page.sizes.reduce(0) { $0 + Int($1) })
        #expect(page.ids.count == page.sizes.count)
        ids += page.ids
        failures += page.failures
        after = last
      }
      #expect(ids == [0, 2, 4])
      #expect(
        failures == [
          .payloadTooLarge(RecordID(rawValue: 1), bytes: limit + 1),
          .payloadTooLarge(RecordID(rawValue: 3), bytes: 2 * limit),
        ])

      let lease = try await scene.leaseOfNewKey()
      var result = scene.result(batch, lease, ids: ids)
      result.failures = failures
      #expect(try await scene.store.commit([result]) == [.committed(inserted: 3, alreadySigned: 0)])
      #expect(try await scene.store.failures(of: job.id, after: nil, limit: 10) == failures)
      #expect(try await scene.store.failures(of: job.id, after: nil, limit: 1) == Array(failures.prefix(1)))
      #expect(
        try await scene.store.failures(of: job.id, after: RecordID(rawValue: 1), limit: 10)
          == Array(failures.dropFirst()))
      #expect(try await scene.store.failures(of: scene.id(), after: nil, limit: 10).isEmpty)
    },
  ]
}
