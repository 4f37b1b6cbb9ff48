package import Domain

extension MemoryDatabase {
  /// See `AuditStore`.
  public func audit() async throws(StorageError) -> AuditReport {
    try await look { state, now throws(StorageError) in
      AuditReport(findings: [
        try state.auditNothingLost(), state.auditSignedOnce(), state.auditKeyExclusive(), state.auditOneKeyPerBatch(),
        state.auditLeastRecentlyUsed(at: now.instant), state.auditCounts(),
        // One look cannot tell whether what was signed is still signed.
        AuditReport.Finding(invariant: .signedStays, checked: 0, violations: 0), state.auditBatchSize(),
      ])
    }
  }
}

/// Under which lease a batch was signed, at which attempt.
package struct SigningProof: Sendable, Hashable {
  package var batch: BatchAttempt
  package var keyID: KeyID
  package var leaseID: LeaseID

  package init(batch: BatchAttempt, keyID: KeyID, leaseID: LeaseID) {
    self.batch = batch
    self.keyID = keyID
    self.leaseID = leaseID
  }
}

extension MemoryDatabase {
  /// The batches that were charged with a failure.
  package func failedBatches() throws(StorageError) -> [BatchAttempt] {
    try run { state, _ throws(StorageError) in
      state.jobsByAge.compactMap { state.jobs[$0] }.flatMap { job in
        job.batches.enumerated().filter { $0.element.spent.failures > 0 }.map {
          BatchAttempt(jobID: job.id, seq: Int32($0.offset), attempt: $0.element.attempt)
        }
      }
    }
  }

  /// How every batch was signed that is signed.
  package func signingProofs() throws(StorageError) -> Set<SigningProof> {
    try run { state, _ throws(StorageError) in
      var proofs: Set<SigningProof> = []
      for job in state.jobs.values {
        for (seq, batch) in job.batches.enumerated() where batch.state == .signed {
          guard let keyID = batch.keyID, let leaseID = batch.leaseID else { continue }
          proofs.insert(
            SigningProof(
              batch: BatchAttempt(jobID: job.id, seq: Int32(seq), attempt: batch.attempt), keyID: keyID,
              leaseID: leaseID))
        }
      }
      return proofs
    }
  }
}

extension AuditReport.Finding {
  fileprivate init(_ invariant: AuditReport.Invariant) {
    self.init(invariant: invariant, checked: 0, violations: 0)
  }

  fileprivate mutating func violation(_ example: @autoclosure () -> String) {
    violations += 1
    if examples.count < Self.maximumExamples { examples.append(example()) }
  }
}

extension MemoryState {
  private var allJobs: [MemoryJob] { jobsByAge.compactMap { jobs[$0] } }

  /// Every record of a job that is done has a signature, or failed in it.
  fileprivate func auditNothingLost() throws(StorageError) -> AuditReport.Finding {
    var finding = AuditReport.Finding(.nothingLost)
    for job in allJobs where job.state == .done {
      let source = try source(job.sourceID)
      if !job.isFinished { finding.violation("job \(job.id) is done, and not all of its batches have ended") }
      for row in source.rows.prefix(while: { $0.id <= job.recordBound }) {
        finding.checked += 1
        if source.signatures[row.id] != nil || job.failures[row.id] != nil { continue }
        if job.batch(covering: row.id)?.state == .failed { continue }
        if source.source.name == Source.records {
          finding.violation("record \(row.id) of job \(job.id), which is done, is neither signed nor failed")
        } else {
          // Whoever owns the table may have added the row after the job was planned.
          finding.undecidable += 1
        }
      }
    }
    return finding
  }

  fileprivate func auditSignedOnce() -> AuditReport.Finding {
    var finding = AuditReport.Finding(.signedOnce)
    for source in sources {
      finding.checked += Int64(source.signatures.count)
      for id in source.signedTwice { finding.violation("record \(id) of source \(source.source.name)") }
    }
    return finding
  }

  /// Every commit lies between the grant of its lease and whatever took the next epoch.
  fileprivate func auditKeyExclusive() -> AuditReport.Finding {
    var finding = AuditReport.Finding(.keyExclusive)
    for job in allJobs {
      for (seq, batch) in job.batches.enumerated() where batch.state == .signed {
        finding.checked += 1
        guard let keyID = batch.keyID, let key = keys[keyID], let tick = batch.signedTick,
          let lease = key.leases.first(where: { $0.epoch == batch.epoch?.rawValue && $0.id == batch.leaseID }),
          lease.holder == batch.signer
        else {
          finding.violation("batch \(job.id)/\(seq) was signed under a lease that its signer never had")
          continue
        }
        let disabled = key.changes.first { $0.tick > lease.grantedTick && $0.state == .disabled }?.tick
        let next = key.leases.first { $0.epoch > lease.epoch }?.grantedTick
        let end = min(disabled ?? .max, next ?? .max)
        if tick < lease.grantedTick || tick > end {
          finding.violation("batch \(job.id)/\(seq) was signed by key \(keyID) outside of the lease \(lease.id)")
        }
      }
    }
    return finding
  }

  fileprivate func auditOneKeyPerBatch() -> AuditReport.Finding {
    var finding = AuditReport.Finding(.oneKeyPerBatch)
    for source in sources {
      var odd: Set<[Int]> = []
      for id in source.signatures.keys.sorted() {
        guard let signature = source.signatures[id] else { continue }
        finding.checked += 1
        let seq = Int(signature.batchSeq)
        let job = jobs[signature.jobID]
        let batch = job.flatMap { $0.batches.indices.contains(seq) ? $0.batches[seq] : nil }
        if let batch, batch.keyID == signature.keyID, batch.epoch == signature.epoch { continue }
        guard odd.insert([Int(truncatingIfNeeded: job?.number ?? 0), seq]).inserted else { continue }
        finding.violation("batch \(signature.jobID)/\(seq) has signatures by another key than its own")
      }
    }
    return finding
  }

  /// Records by what became of them, of each batch and of each job.
  fileprivate func auditCounts() -> AuditReport.Finding {
    var finding = AuditReport.Finding(.countsAgree)
    var signed: [JobID: [Int32: Int]] = [:]
    for signature in sources.flatMap(\.signatures.values) {
      signed[signature.jobID, default: [:]][signature.batchSeq, default: 0] += 1
    }
    for job in allJobs {
      var failed: [Int32: Int] = [:]
      for failure in job.failures.values { failed[failure.batchSeq, default: 0] += 1 }
      for (index, batch) in job.batches.enumerated() {
        finding.checked += 1
        let seq = Int32(index)
        let stored = signed[job.id]?[seq] ?? 0
        let isWhole =
          batch.state == .signed
          ? batch.inserted + batch.already + batch.failed == batch.count
          : batch.inserted + batch.already + batch.failed == 0
        if stored != batch.inserted || failed[seq] ?? 0 > batch.failed || !isWhole {
          finding.violation(
            "batch \(job.id)/\(seq) counts \(batch.inserted) signed, \(batch.already) already signed and "
              + "\(batch.failed) failed of \(batch.count); \(stored) signatures are stored")
        }
      }
    }
    return finding
  }

  fileprivate func auditBatchSize() -> AuditReport.Finding {
    var finding = AuditReport.Finding(.batchSizeFixed)
    for job in allJobs {
      finding.checked += 1
      let size = job.batchSize.rawValue
      let isRight = job.batches.enumerated().allSatisfy { index, batch in
        if batch.count > size && job.sourceName != Source.records { return true }
        return index == job.batches.count - 1 ? batch.count <= size : batch.count == size
      }
      if !isRight { finding.violation("job \(job.id) has batches that are not of its batch size, \(size)") }
    }
    return finding
  }
}
