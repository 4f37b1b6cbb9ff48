package import Domain

/// A job with its batches.
package struct MemoryJob: Sendable {
  let id: JobID
  /// Counts the jobs: the order of age.
  let number: Int64
  let sourceID: SourceID
  let sourceName: String
  let algorithm: SignatureAlgorithm
  let form: SignatureForm
  package var batchSize: BatchSize
  let priority: JobPriority
  let idempotencyKey: IdempotencyKey?
  let trace: JobTrace?
  let recordBound: Int64
  let createdAt: Timestamp
  var state = JobState.running
  var endedAt: Timestamp?
  /// The least id that is not planned yet; nil when all are.
  var nextID: Int64? = .min
  package var batches: [MemoryBatch] = []
  /// Every batch before this one has ended.
  private var firstOpen = 0
  package var failures: [Int64: MemoryFailure] = [:]

  init(_ submission: JobSubmission, number: Int64, source: MemorySource, bound: Int64, at time: Timestamp) {
    id = submission.id
    self.number = number
    sourceID = source.source.id
    sourceName = source.source.name
    algorithm = submission.algorithm
    form = submission.form
    batchSize = submission.batchSize
    priority = submission.priority
    idempotencyKey = submission.idempotencyKey
    trace = submission.trace
    recordBound = bound
    createdAt = time
  }

  var isPlanned: Bool { nextID == nil }

  var isFinished: Bool { isPlanned && !batches[firstOpen...].contains { $0.state.isOpen } }

  /// Whether the submission asks for this job.
  func isMade(by submission: JobSubmission) -> Bool {
    sourceName == submission.sourceName && algorithm == submission.algorithm && form == submission.form
      && batchSize == submission.batchSize && priority == submission.priority
      && idempotencyKey == submission.idempotencyKey
  }

  /// The places of batches that may not have ended, ascending.
  mutating func openBatches() -> Range<Int> {
    while firstOpen < batches.count, !batches[firstOpen].state.isOpen { firstOpen += 1 }
    return firstOpen..<batches.count
  }

  /// Makes failed batches wait again, with fresh budgets. Returns how many there were.
  mutating func retryFailed(recount: (ClosedRange<Int64>) -> Int) -> Int {
    var retried = 0
    for index in batches.indices where batches[index].state == .failed {
      batches[index].state = .pending
      batches[index].spent = BatchBudget.Spent()
      batches[index].notBefore = nil
      batches[index].note = nil
      batches[index].count = max(batches[index].count, recount(batches[index].ids))
      retried += 1
      firstOpen = min(firstOpen, index)
    }
    return retried
  }

  /// The batch that covers a record of the source.
  func batch(covering id: Int64) -> MemoryBatch? {
    let position = batches.lowerBound { $0.ids.upperBound < id }
    return position < batches.count && batches[position].ids.contains(id) ? batches[position] : nil
  }

  var counts: JobCounts {
    var counts = JobCounts()
    counts.batches = Int64(batches.count)
    for batch in batches {
      counts.planned += Int64(batch.count)
      counts.signed += Int64(batch.inserted)
      counts.alreadySigned += Int64(batch.already)
      counts.failed += Int64(batch.failed)
      if batch.state == .leased { counts.batchesLeased += 1 }
      if batch.state == .signed { counts.batchesSigned += 1 }
      if batch.state == .failed { counts.failed += Int64(batch.count) }
    }
    return counts
  }

  var snapshot: Job {
    Job(
      id: id, sourceID: sourceID, sourceName: sourceName, algorithm: algorithm, form: form, batchSize: batchSize,
      priority: priority, state: state, idempotencyKey: idempotencyKey, trace: trace,
      recordBound: RecordID(rawValue: recordBound), isPlanned: isPlanned, counts: counts, createdAt: createdAt,
      endedAt: endedAt)
  }
}

/// A batch of a job.
package struct MemoryBatch: Sendable {
  let ids: ClosedRange<Int64>
  package var count: Int
  package var state = BatchState.pending
  var attempt: Int32 = 0
  var spent = BatchBudget.Spent()
  /// Nil: at once.
  var notBefore: ContinuousClock.Instant?
  var coordinator: CoordinatorID?
  /// Why it last came back.
  var note: String?

  var signer: SignerID?
  package var keyID: KeyID?
  package var epoch: Epoch?
  package var leaseID: LeaseID?
  package var inserted = 0
  package var already = 0
  /// Records that failed alone, those missing included.
  package var failed = 0
  package var signedTick: Int64?
}

/// A record that failed alone, and in which batch.
package struct MemoryFailure: Sendable {
  var failure: RecordFailure
  var batchSeq: Int32
  /// Which failure of all jobs was the last.
  var tick: Int64
}
