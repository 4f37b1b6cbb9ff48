import Domain

extension MemoryDatabase {
  /// See `JobStore`.
  public func commit(_ results: [SignedBatch]) async throws(StorageError) -> [CommitOutcome] {
    try await step { state, now throws(StorageError) in
      results.map { state.commit($0, now) }
    }
  }
}

extension MemoryState {
  fileprivate mutating func commit(_ result: SignedBatch, _ now: Moment) -> CommitOutcome {
    guard result.isWellFormed else { return .refused(.wrongRecords) }
    if let outcome = commitState(of: result).outcome(of: result), sabotage?.ignores(outcome) != true {
      if sabotage == .deniedCommit, case .committed = outcome { return .refused(.staleAttempt) }
      return outcome
    }
    guard let job = jobs[result.batch.jobID], let key = keys[result.keyID], batch(result.batch) != nil,
      let index = sources.firstIndex(where: { $0.source.id == job.sourceID })
    else { preconditionFailure("\(result.batch) was found to be committable without its job, key or source") }

    var signatures: [StoredSignature] = []
    var offset = 0
    for (row, id) in result.recordIDs.enumerated() {
      let size = Int(result.signatureSizes[row])
      defer { offset += size }
      guard sources[index].signatures[id] == nil || sabotage == .blindCommit else { continue }
      let digest = row * SHA256Digest.byteCount..<(row + 1) * SHA256Digest.byteCount
      signatures.append(
        StoredSignature(
          recordID: RecordID(rawValue: id), jobID: job.id, batchSeq: result.batch.seq, keyID: key.id,
          epoch: result.epoch, algorithm: key.algorithm, form: job.form,
          signature: Array(result.signatures[offset..<offset + size]),
          payloadDigest: Array(result.payloadDigests[digest]), signedAt: now.time))
    }
    let inserted = signatures.count
    spoil(&signatures, source: index, job: job.id)
    for signature in signatures { sources[index].insert(signature) }
    let already = result.recordIDs.count - inserted
    jobs[job.id]?.end(result, inserted: inserted, already: already, tick: now.tick)
    return .committed(inserted: inserted, alreadySigned: already)
  }

  private func commitState(of result: SignedBatch) -> CommitState {
    let batch = batch(result.batch).flatMap { batch in
      jobs[result.batch.jobID].map { job in
        CommitState.Batch(
          state: batch.state, attempt: batch.attempt, ids: batch.ids, count: batch.count, algorithm: job.algorithm,
          form: job.form, keyID: batch.keyID, epoch: batch.epoch, leaseID: batch.leaseID, inserted: batch.inserted,
          already: batch.already)
      }
    }
    let key = keys[result.keyID].map { key in
      CommitState.SigningKey(
        state: key.state, epoch: Epoch(rawValue: key.epoch), leaseID: key.leaseID, algorithm: key.algorithm,
        holder: key.leases.last { $0.epoch == result.epoch.rawValue && $0.id == result.leaseID }?.holder)
    }
    return CommitState(batch: batch, key: key)
  }
}

extension MemoryJob {
  fileprivate mutating func end(_ result: SignedBatch, inserted: Int, already: Int, tick: Int64) {
    let index = Int(result.batch.seq)
    batches[index].state = .signed
    batches[index].coordinator = nil
    batches[index].signer = result.signer
    batches[index].keyID = result.keyID
    batches[index].epoch = result.epoch
    batches[index].leaseID = result.leaseID
    batches[index].inserted = inserted
    batches[index].already = already
    batches[index].failed = result.failures.count + result.missing
    batches[index].signedTick = tick
    for failure in result.failures {
      failures[failure.recordID.rawValue] = MemoryFailure(
        failure: failure, batchSeq: result.batch.seq, tick: tick)
    }
  }
}
