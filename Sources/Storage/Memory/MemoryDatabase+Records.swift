public import Domain

extension MemoryDatabase {
  /// See `RecordStore`.
  public func put(_ records: [NewRecord]) async throws(StorageError) -> PutOutcome {
    try await step { state, now throws(StorageError) in
      try state.put(records, at: now.time)
    }
  }

  /// See `RecordStore`.
  public func record(_ name: RecordName, source: Source) async throws(StorageError) -> Record? {
    try await look { state, _ throws(StorageError) in
      let rows = try state.source(source.id)
      guard let id = state.recordID(name, of: source), let row = rows.row(id) else { return nil }
      return Record(
        id: RecordID(rawValue: id), externalID: row.externalID, payload: row.payload, createdAt: row.createdAt)
    }
  }

  /// See `RecordStore`.
  public func status(
    _ name: RecordName, source: Source, job: JobID?
  ) async throws(StorageError) -> RecordStatus? {
    try await look { state, _ throws(StorageError) in
      let rows = try state.source(source.id)
      guard let id = state.recordID(name, of: source) else { return nil }
      let signature = rows.signatures[id]
      guard signature != nil || rows.row(id) != nil else { return nil }
      let jobs = state.jobsByAge.reversed().compactMap { state.jobs[$0] }
        .filter { $0.sourceID == source.id && (job == nil || job == $0.id) }
      return RecordStatus(recordID: RecordID(rawValue: id), signature: signature, jobs: jobs)
    }
  }

  /// See `RecordStore`.
  public func source(named name: String) async throws(StorageError) -> Source? {
    try await look { state, _ throws(StorageError) in state.sources.first { $0.source.name == name }?.source }
  }

  /// See `RecordStore`.
  public func sources() async throws(StorageError) -> [Source] {
    try await look { state, _ throws(StorageError) in state.sources.map(\.source).sorted { $0.name < $1.name } }
  }

  /// See `RecordStore`.
  public func payloads(
    of batch: ClaimedBatch, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> PayloadPage {
    try await look { state, _ throws(StorageError) in
      let rows = try state.source(batch.source.id)
      var page = PayloadPage()
      for row in rows.rows(in: batch.firstID.rawValue...batch.lastID.rawValue) {
        if let after, row.id <= after.rawValue { continue }
        if row.payload.count > Record.maximumPayloadBytes {
          page.failures.append(.payloadTooLarge(RecordID(rawValue: row.id), bytes: row.payload.count))
          continue
        }
        if !page.ids.isEmpty && page.payloads.count + row.payload.count > maximumBytes { break }
        page.ids.append(row.id)
        page.sizes.append(UInt32(row.payload.count))
        page.payloads.append(contentsOf: row.payload)
      }
      return page
    }
  }

  /// See `RecordStore`.
  public func signatures(
    _ query: SignatureQuery, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> [StoredSignature] {
    try await look { state, _ throws(StorageError) in
      let index = try state.sourceIndex(query.source.id)
      var page: [StoredSignature] = []
      var bytes = 0
      for id in state.sources[index].signedIDs(after: after?.rawValue) {
        guard var signature = state.sources[index].signatures[id] else { continue }
        if let job = query.job, signature.jobID != job { continue }
        if query.includesExternalID, let row = state.sources[index].row(id) {
          signature.externalID = row.externalID
          if query.includesPayload { signature.payload = row.payload }
        }
        bytes += signature.pageBytes
        if !page.isEmpty && bytes > maximumBytes { break }
        page.append(signature)
      }
      return page
    }
  }

  /// See `RecordStore`.
  public func failures(of job: JobID, after: RecordID?, limit: Int) async throws(StorageError) -> [RecordFailure] {
    try await look { state, _ throws(StorageError) in
      let failures = state.jobs[job].map { $0.failures.values.map(\.failure) } ?? []
      let rest = failures.filter { $0.recordID.rawValue > after?.rawValue ?? .min }
      return Array(rest.sorted { $0.recordID < $1.recordID }.prefix(limit))
    }
  }

  /// Adds a source with rows of its own, as an operator maps an existing table. Throws `conflict` when the name is taken.
  public func addSource(named name: String, rows: [(id: Int64, payload: [UInt8])]) throws(StorageError) -> Source {
    try run { state, _ throws(StorageError) in
      guard !state.sources.contains(where: { $0.source.name == name }) else {
        throw StorageError(.conflict, "there is a source named \(name) already: choose another name")
      }
      let number = Int64(state.sources.count) + 1
      var added = MemorySource(
        source: Source(
          id: SourceID(rawValue: number), name: name, relation: name, idColumn: "id", payloadColumn: "payload"))
      added.setRows(rows)
      state.sources.append(added)
      return added.source
    }
  }

  /// Replaces the rows of a source that was added, as the owner of a mapped table may at any time.
  public func replaceRows(
    of source: Source, with rows: [(id: Int64, payload: [UInt8])]
  ) throws(StorageError) {
    try run { state, _ throws(StorageError) in
      let index = try state.sourceIndex(source.id)
      precondition(source.name != Source.records, "records are only ever added")
      state.sources[index].setRows(rows)
    }
  }
}

extension MemorySource {
  fileprivate mutating func setRows(_ new: [(id: Int64, payload: [UInt8])]) {
    rows = new.sorted { $0.id < $1.id }
      .map { Row(id: $0.id, payload: $0.payload, externalID: nil, createdAt: nil) }
    precondition(zip(rows, rows.dropFirst()).allSatisfy { $0.id < $1.id }, "the ids of a source must be unique")
  }
}

extension MemoryState {
  fileprivate mutating func put(_ records: [NewRecord], at time: Timestamp) throws(StorageError) -> PutOutcome {
    var outcome = PutOutcome(inserted: 0, existing: 0, lastID: nil)
    var added: [MemorySource.Row] = []
    var addedByExternalID: [String: Int] = [:]
    var last = lastRecordID
    for record in records {
      var taken: MemorySource.Row?
      if let externalID = record.externalID {
        taken =
          addedByExternalID[externalID].map { added[$0] }
          ?? recordsByExternalID[externalID].flatMap { sources[0].row($0) }
      }
      if let taken {
        guard taken.payload == record.payload else { throw .externalIDTaken(taken.externalID ?? "") }
        outcome.existing += 1
        outcome.lastID = max(outcome.lastID ?? RecordID(rawValue: .min), RecordID(rawValue: taken.id))
        continue
      }
      last += 1
      if let externalID = record.externalID { addedByExternalID[externalID] = added.count }
      added.append(
        MemorySource.Row(id: last, payload: record.payload, externalID: record.externalID, createdAt: time))
      outcome.lastID = RecordID(rawValue: last)
    }
    outcome.inserted = added.count
    for row in added {
      if let externalID = row.externalID { recordsByExternalID[externalID] = row.id }
    }
    sources[0].rows.append(contentsOf: added)
    lastRecordID = last
    return outcome
  }

  fileprivate func recordID(_ name: RecordName, of source: Source) -> Int64? {
    switch name {
    case .id(let id): id.rawValue
    case .externalID(let text): source.name == Source.records ? recordsByExternalID[text] : nil
    }
  }
}

extension RecordStatus {
  /// `jobs` are the newest first.
  fileprivate init(recordID: RecordID, signature: StoredSignature?, jobs: [MemoryJob]) {
    let id = recordID.rawValue
    var newest: (failure: RecordFailure, job: JobID, tick: Int64)?
    var isLeased = false
    for job in jobs {
      if let alone = job.failures[id], alone.tick > newest?.tick ?? .min {
        newest = (alone.failure, job.id, alone.tick)
      }
      guard let batch = job.batch(covering: id) else { continue }
      if batch.state == .leased { isLeased = true }
      if batch.state == .failed, newest == nil {
        newest = (.batchFailed(recordID, note: batch.note), job.id, .min)
      }
    }
    self.init(
      recordID: recordID,
      state: RecordState(
        hasSignature: signature != nil, hasFailure: newest != nil, isInLeasedBatch: isLeased),
      signature: signature, failure: newest?.failure, failedIn: newest?.job)
  }
}
