public import Domain

/// Jobs and their batches. Every transition of a batch is a compare-and-set on its state and attempt.
public protocol JobStore: Sendable {
  /// Creates a job over the records that are in the source now: fixes the greatest id, and waits out transactions that
  /// were adding records. A submission whose idempotency key is taken returns the job that took it.
  ///
  /// Throws `conflict` when that job has other parameters, `notFound` when there is no such source, `wrongState` when the
  /// source has no records or there is no active key of the algorithm.
  func submit(_ submission: JobSubmission) async throws(StorageError) -> Job

  /// One job with its counts, nil if there is none.
  func job(_ id: JobID) async throws(StorageError) -> Job?

  /// At most `limit` jobs, newest first, older than `before`.
  func jobs(limit: Int, before: JobCursor?) async throws(StorageError) -> [Job]

  /// Pauses, resumes or cancels a job. Cancelling takes back its batches, so that their results are refused; what is signed
  /// stays signed. To ask for the state that it has is no error.
  ///
  /// Throws `notFound`, or `wrongState` where the job may not go there.
  func setState(_ id: JobID, to state: JobState) async throws(StorageError) -> Job

  /// Gives the failed batches of a job out again, with fresh budgets, and takes up the job if it was done. Returns how many
  /// there were. Records that failed alone, in a batch that was signed, are not tried again: only another job does that.
  ///
  /// Throws `notFound`, or `wrongState` for a cancelled job.
  func retryFailed(_ id: JobID) async throws(StorageError) -> Int

  /// Plans further batches of running jobs, so that about `target` batches wait to be claimed in each: a window of record
  /// ids at a time, in one transaction each. Returns how many batches were planned.
  func plan(target: Int) async throws(StorageError) -> Int

  /// Takes up to `limit` waiting batches of jobs that sign with one of `algorithms` for `coordinator`: by priority, then so
  /// that jobs have equally many out, then by age. `claim` is fresh for each call.
  func claim(
    _ algorithms: Set<SignatureAlgorithm>, coordinator: CoordinatorID, claim: ClaimID, limit: Int
  ) async throws(StorageError) -> [ClaimedBatch]

  /// The batches that `coordinator` has in the store: those it does not know were claimed without its learning of it.
  func batchesClaimed(by coordinator: CoordinatorID) async throws(StorageError) -> [BatchAttempt]

  /// Gives batches back, each if it is still leased at that attempt. Returns how many were.
  func giveBack(_ returns: [ReturnedBatch]) async throws(StorageError) -> Int

  /// Stores the signatures of signed batches, each fenced by attempt, epoch and lease, each on its own: one outcome for
  /// each result, in order.
  ///
  /// Throws `outcomeUnknown` when some may have been stored: committing the same results again resolves it.
  func commit(_ results: [SignedBatch]) async throws(StorageError) -> [CommitOutcome]

  /// Ends the jobs whose every batch has ended. Returns them as they are then.
  func endFinishedJobs() async throws(StorageError) -> [Job]

  /// How much there is to do, for people.
  func backlog() async throws(StorageError) -> Backlog

  /// Says that `coordinator` lives; the first call registers it.
  func heartbeat(_ coordinator: CoordinatorID) async throws(StorageError)

  /// Takes back the batches of coordinators whose last heartbeat is older than `timeout`. Returns how many there were.
  func reclaimFromStaleCoordinators(timeout: Duration) async throws(StorageError) -> Int

  /// Forgets `coordinator`, which has given back all its batches.
  func unregister(_ coordinator: CoordinatorID) async throws(StorageError)
}

/// A job to create; its limits were checked.
public struct JobSubmission: Sendable, Hashable {
  /// The id that the job gets if it is created.
  public var id: JobID
  /// The name of the source.
  public var sourceName: String
  /// How records are signed.
  public var algorithm: SignatureAlgorithm
  /// What is signed of each.
  public var form: SignatureForm
  /// Records per batch.
  public var batchSize: BatchSize
  /// Higher runs first.
  public var priority: JobPriority
  /// Nil: every submission creates a job.
  public var idempotencyKey: IdempotencyKey?
  /// The trace that the job is to belong to; nil for none. No part of what a repeated submission is compared by.
  public var trace: JobTrace?

  /// Makes a submission.
  public init(
    id: JobID, sourceName: String, algorithm: SignatureAlgorithm, form: SignatureForm = .default, batchSize: BatchSize,
    priority: JobPriority, idempotencyKey: IdempotencyKey?, trace: JobTrace? = nil
  ) {
    self.id = id
    self.sourceName = sourceName
    self.algorithm = algorithm
    self.form = form
    self.batchSize = batchSize
    self.priority = priority
    self.idempotencyKey = idempotencyKey
    self.trace = trace
  }
}

/// A place in the list of jobs, newest first.
public struct JobCursor: Sendable, Hashable {
  /// When the last job of the page was created.
  public var createdAt: Timestamp
  /// Its id, which decides among jobs of one time.
  public var id: JobID

  /// Makes a cursor.
  public init(createdAt: Timestamp, id: JobID) {
    self.createdAt = createdAt
    self.id = id
  }
}

/// A batch that comes back unsigned.
public struct ReturnedBatch: Sendable, Hashable {
  /// Which attempt.
  public var batch: BatchAttempt
  /// Why.
  public var cause: BatchReturn

  /// Makes a return.
  public init(batch: BatchAttempt, cause: BatchReturn) {
    self.batch = batch
    self.cause = cause
  }
}

/// The result of a signer for one batch, with everything that fences it.
public struct SignedBatch: Sendable, Hashable {
  /// Which attempt.
  public var batch: BatchAttempt
  /// The signer, which must hold the lease.
  public var signer: SignerID
  /// The key that signed.
  public var keyID: KeyID
  /// The epoch of the lease.
  public var epoch: Epoch
  /// The lease.
  public var leaseID: LeaseID
  /// The records signed, ascending.
  public var recordIDs: [Int64]
  /// Bytes of each signature.
  public var signatureSizes: [UInt32]
  /// The signatures, one after another.
  public var signatures: [UInt8]
  /// SHA-256 of each payload, 32 bytes each, one after another.
  public var payloadDigests: [UInt8]
  /// What was signed of each record.
  public var form: SignatureForm
  /// The records that failed alone.
  public var failures: [RecordFailure]
  /// How many more records were planned and are gone from the source, so that nobody knows their ids.
  public var missing: Int

  /// Makes a result.
  public init(
    batch: BatchAttempt, signer: SignerID, keyID: KeyID, epoch: Epoch, leaseID: LeaseID, recordIDs: [Int64],
    signatureSizes: [UInt32], signatures: [UInt8], payloadDigests: [UInt8],
    form: SignatureForm = .default, failures: [RecordFailure], missing: Int = 0
  ) {
    self.batch = batch
    self.signer = signer
    self.keyID = keyID
    self.epoch = epoch
    self.leaseID = leaseID
    self.recordIDs = recordIDs
    self.signatureSizes = signatureSizes
    self.signatures = signatures
    self.payloadDigests = payloadDigests
    self.form = form
    self.failures = failures
    self.missing = missing
  }
}

/// What became of a result.
public enum CommitOutcome: Sendable, Hashable {
  /// Its signatures are stored, by this call or by an earlier one with the same attempt and lease.
  case committed(inserted: Int, alreadySigned: Int)
  /// They are not, and never will be under this attempt and lease.
  case refused(CommitRefusal)
}

/// Why a result was not stored, by the names of the protocol.
public enum CommitRefusal: String, Sendable, Hashable, CaseIterable {
  /// The batch was taken back, given out again or ended by another, or its job has ended.
  case staleAttempt = "STALE_ATTEMPT"
  /// The key has a newer lease.
  case staleLease = "STALE_LEASE"
  /// The key was disabled.
  case keyDisabled = "KEY_DISABLED"
  /// The key is of another algorithm than the job, or the signatures are of another form.
  case wrongAlgorithm = "WRONG_ALGORITHM"
  /// The lease belongs to another signer.
  case wrongHolder = "WRONG_HOLDER"
  /// The result does not have exactly the records of the batch.
  case wrongRecords = "WRONG_RECORDS"
}
