import Domain
import Storage
import Testing

// Records: what is put comes back byte for byte under ascending ids, an external id names one record for ever, and a put
// is all or nothing.
extension ConformanceCase {
  static let records = [
    ConformanceCase("records come back under ascending ids, byte for byte") { scene async throws in
      let payloads: [[UInt8]] = [[], [0], Array(0...255), Array("ünï, 記録 🔏'; --".utf8)]
      let first = try await scene.store.put(payloads.map { NewRecord(payload: $0, externalID: nil) })
      #expect(first.inserted == 4)
      #expect(first.existing == 0)
      let last = try #require(first.lastID).rawValue
      let source = try await scene.records()
      for (offset, payload) in payloads.enumerated() {
        let id = RecordID(rawValue: last - 3 + Int64(offset))
        let record = try #require(try await scene.store.record(.id(id), source: source))
        #expect(record.id == id)
        #expect(record.payload == payload)
        #expect(record.externalID == nil)
        #expect(record.createdAt != nil)
      }
      let second = try await scene.putRecords(1)
      #expect(try #require(second.lastID).rawValue > last)
    },

    ConformanceCase("putting nothing stores nothing") { scene async throws in
      #expect(try await scene.store.put([]) == PutOutcome(inserted: 0, existing: 0, lastID: nil))
    },

    ConformanceCase("a record that does not exist is nil") { scene async throws in
      try await scene.putRecords(1)
      let source = try await scene.records()
      for name in [RecordName.id(RecordID(rawValue: 99)), .id(RecordID(rawValue: -1)), .externalID("none")] {
        #expect(try await scene.store.record(name, source: source) == nil)
        #expect(try await scene.store.status(name, source: source, job: nil) == nil)
      }
    },

    ConformanceCase("the same external id and bytes are one record, whether in one put or in two") {
      scene async throws in
      let record = NewRecord(payload: [1, 2, 3], externalID: "' OR 1=1; -- 🔏")
      let first = try await scene.store.put([record, NewRecord(payload: [9], externalID: nil), record])
      #expect(first.inserted == 2)
      #expect(first.existing == 1)
      let again = try await scene.store.put([record])
      #expect(again.inserted == 0)
      #expect(again.existing == 1)
      let found = try #require(
        try await scene.store.record(.externalID("' OR 1=1; -- 🔏"), source: try await scene.records()))
      #expect(found.payload == [1, 2, 3])
      #expect(found.externalID == "' OR 1=1; -- 🔏")
      #expect(again.lastID == found.id)
    },

    ConformanceCase("records of equal bytes without an external id are different records") { scene async throws in
      let record = NewRecord(payload: [7], externalID: nil)
      #expect(try await scene.store.put([record, record]).inserted == 2)
    },

    ConformanceCase("an external id with other bytes is a conflict that names it, and nothing of the put is stored") {
      scene async throws in
      _ = try await scene.store.put([NewRecord(payload: [1], externalID: "invoice-7")])
      await expectError(.conflict, naming: "invoice-7") {
        try await scene.store.put([
          NewRecord(payload: [5], externalID: "invoice-8"), NewRecord(payload: [2], externalID: "invoice-7"),
        ])
      }
      let source = try await scene.records()
      #expect(try await scene.store.record(.externalID("invoice-8"), source: source) == nil)
      #expect(try await scene.store.record(.externalID("invoice-7"), source: source)?.payload == [1])
    },

    ConformanceCase("two records of one put that share an external id must share their bytes") { scene async throws in
      await expectError(.conflict, naming: "twice") {
        try await scene.store.put([
          NewRecord(payload: [1], externalID: "twice"), NewRecord(payload: [2], externalID: "twice"),
        ])
      }
      let source = try await scene.records()
      #expect(try await scene.store.record(.externalID("twice"), source: source) == nil)
    },

    ConformanceCase("concurrent puts of one external id store one record") { scene async throws in
      let store = scene.store
      let outcomes = try await withThrowingTaskGroup(of: PutOutcome.self) { group in
        for _ in 0..<8 {
          group.addTask { try await store.put([NewRecord(payload: [4], externalID: "shared")]) }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(outcomes.map(\.inserted).reduce(0, +) == 1)
      #expect(outcomes.map(\.existing).reduce(0, +) == 7)
      #expect(Set(outcomes.map(\.lastID)).count == 1)
    },
  ]

  static let sources = [
    ConformanceCase("every database has the source records, and a mapped table is another") { scene async throws in
      let records = try await scene.records()
      #expect(try await scene.store.sources() == [records])
      #expect(try await scene.store.source(named: "invoices") == nil)
      let mapped = try await scene.harness.addSource(named: "invoices", rows: [SourceRow(id: 5, payload: [1])])
      #expect(mapped.id != records.id)
      #expect(try await scene.store.source(named: "invoices") == mapped)
      #expect(try await scene.store.sources() == [mapped, records])
    },

    ConformanceCase("a row of a mapped table is a record without external id and time") { scene async throws in
      let mapped = try await scene.harness.addSource(named: "invoices", rows: [SourceRow(id: -5, payload: [1, 2])])
      let id = RecordID(rawValue: -5)
      #expect(
        try await scene.store.record(.id(id), source: mapped)
          == Record(id: id, externalID: nil, payload: [1, 2], createdAt: nil))
      _ = try await scene.store.put([NewRecord(payload: [3], externalID: "x")])
      #expect(try await scene.store.record(.externalID("x"), source: mapped) == nil)
      #expect(try await scene.store.record(.id(RecordID(rawValue: 1)), source: mapped) == nil)
    },

    ConformanceCase("payloads come in pages that are bounded by bytes, but never empty before the end") {
      scene async throws in
      _ = try await scene.store.put(
        [10, 0, 20, 5, 100, 1].map { NewRecord(payload: Array(repeating: UInt8($0), count: $0), externalID: nil) })
      _ = try await scene.plannedJob(size: 6)
      let batch = try await scene.claimOne()
      var pages: [[UInt32]] = []
      var after: RecordID?
      while true {
        let page = try await scene.store.payloads(of: batch, after: after, maximumBytes: 30)
        guard let last = page.ids.last else { break }
        #expect(page.ids.count == page.sizes.count)
        #expect(page.payloads.count == page.sizes.reduce(0) { $0 + Int($1) })
        #expect(page.payloads == page.sizes.flatMap { Array(repeating: UInt8($0), count: Int($0)) })
        pages.append(page.sizes)
        after = RecordID(rawValue: last)
      }
      #expect(pages == [[10, 0, 20], [5], [100], [1]])
      let whole = try await scene.payloads(batch)
      #expect(whole.ids == Array(batch.firstID.rawValue...batch.lastID.rawValue))
    },

    ConformanceCase("a batch has the records of its range and no others, and those that are gone are absent") {
      scene async throws in
      let rows = [-900, -3, 0, 4, 1_000_000].map { SourceRow(id: $0, payload: Scene.payload(Int($0))) }
      let mapped = try await scene.harness.addSource(named: "sparse", rows: rows)
      _ = try await scene.plannedJob(size: 3, source: "sparse")
      let batches = try await scene.claim(2)
      #expect(batches.map(\.count) == [3, 2])
      #expect(batches.map(\.firstID.rawValue) == [-900, 4])
      #expect(batches.map(\.lastID.rawValue) == [0, 1_000_000])
      #expect(try await scene.payloads(batches[0]).ids == [-900, -3, 0])
      #expect(try await scene.payloads(batches[1]).ids == [4, 1_000_000])
      try await scene.harness.replaceRows(of: mapped, with: rows.filter { $0.id != -3 })
      let page = try await scene.payloads(batches[0])
      #expect(page.ids == [-900, 0])
      #expect(page.payloads == Scene.payload(-900) + Scene.payload(0))
    },
  ]
}
