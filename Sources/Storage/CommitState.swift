package import Domain

/// What the store knows of a result that could not be committed plainly: enough to say why.
package struct CommitState: Sendable {
  /// The batch of the result.
  package struct Batch: Sendable {
    package var state: BatchState
    package var attempt: Int32
    package var ids: ClosedRange<Int64>
    package var count: Int
    package var algorithm: SignatureAlgorithm
    package var form: SignatureForm
    package var keyID: KeyID?
    package var epoch: Epoch?
    package var leaseID: LeaseID?
    package var inserted: Int
    package var already: Int

    package init(
      state: BatchState, attempt: Int32, ids: ClosedRange<Int64>, count: Int, algorithm: SignatureAlgorithm,
      form: SignatureForm, keyID: KeyID?, epoch: Epoch?, leaseID: LeaseID?, inserted: Int, already: Int
    ) {
      self.state = state
      self.attempt = attempt
      self.ids = ids
      self.count = count
      self.algorithm = algorithm
      self.form = form
      self.keyID = keyID
      self.epoch = epoch
      self.leaseID = leaseID
      self.inserted = inserted
      self.already = already
    }
  }

  /// The key of the result.
  package struct SigningKey: Sendable {
    package var state: KeyState
    package var epoch: Epoch
    package var leaseID: LeaseID?
    package var algorithm: SignatureAlgorithm
    /// Who holds the lease of the result's epoch; nil if there is no such lease.
    package var holder: SignerID?

    package init(
      state: KeyState, epoch: Epoch, leaseID: LeaseID?, algorithm: SignatureAlgorithm, holder: SignerID?
    ) {
      self.state = state
      self.epoch = epoch
      self.leaseID = leaseID
      self.algorithm = algorithm
      self.holder = holder
    }
  }

  /// Nil: there is no such batch.
  package var batch: Batch?
  /// Nil: there is no such key.
  package var key: SigningKey?

  package init(batch: Batch?, key: SigningKey?) {
    self.batch = batch
    self.key = key
  }

  /// What to answer, by the first thing that does not fit; nil if everything does, so that it should have been committed.
  ///
  /// What does not fit never fits later: attempts and epochs only rise, and a lease belongs to one epoch.
  package func outcome(of result: SignedBatch) -> CommitOutcome? {
    guard let batch else { return .refused(.staleAttempt) }
    if batch.state == .signed, batch.attempt == result.batch.attempt, batch.keyID == result.keyID,
      batch.epoch == result.epoch, batch.leaseID == result.leaseID
    {
      return .committed(inserted: batch.inserted, alreadySigned: batch.already)
    }
    guard batch.state == .leased, batch.attempt == result.batch.attempt else { return .refused(.staleAttempt) }
    guard let key else { return .refused(.staleLease) }
    guard key.state != .disabled else { return .refused(.keyDisabled) }
    guard key.epoch == result.epoch, key.leaseID == result.leaseID, let holder = key.holder else {
      return .refused(.staleLease)
    }
    guard holder == result.signer else { return .refused(.wrongHolder) }
    guard key.algorithm == batch.algorithm, result.form == batch.form else { return .refused(.wrongAlgorithm) }
    guard batch.count == result.recordCount, result.span.map({ batch.ids.contains($0) }) ?? true else {
      return .refused(.wrongRecords)
    }
    return nil
  }
}
