/// Names one attempt at one batch. The attempt only ever rises, and fences off earlier signers.
public struct BatchAttempt: Sendable, Hashable, CustomStringConvertible {
  /// The job.
  public var jobID: JobID
  /// The batch within the job, from 0.
  public var seq: Int32
  /// Which giving-out of the batch, from 1.
  public var attempt: Int32

  /// Names an attempt.
  public init(jobID: JobID, seq: Int32, attempt: Int32) {
    self.jobID = jobID
    self.seq = seq
    self.attempt = attempt
  }

  /// `job/seq#attempt`.
  public var description: String { "\(jobID)/\(seq)#\(attempt)" }
}

extension BatchAttempt: Comparable {
  /// By job, then place in the job, then attempt.
  public static func < (left: BatchAttempt, right: BatchAttempt) -> Bool {
    (left.jobID, left.seq, left.attempt) < (right.jobID, right.seq, right.attempt)
  }
}

/// A batch that a coordinator has claimed for its signers.
public struct ClaimedBatch: Sendable, Hashable {
  /// Which attempt.
  public var batch: BatchAttempt
  /// Whose records.
  public var source: Source
  /// How they are signed.
  public var algorithm: SignatureAlgorithm
  /// What is signed of each.
  public var form: SignatureForm
  /// The trace that the job was submitted in; nil for none.
  public var trace: JobTrace?
  /// The least id; all records of the source from it to `lastID` belong to the batch.
  public var firstID: RecordID
  /// The greatest id.
  public var lastID: RecordID
  /// How many there were when the batch was planned.
  public var count: Int
  /// What a replica must have replayed to know these records; nil if any copy will do.
  public var replayPosition: ReplayPosition?

  /// Makes a claimed batch.
  public init(
    batch: BatchAttempt, source: Source, algorithm: SignatureAlgorithm, form: SignatureForm, trace: JobTrace?,
    firstID: RecordID,
    lastID: RecordID, count: Int, replayPosition: ReplayPosition?
  ) {
    self.batch = batch
    self.source = source
    self.algorithm = algorithm
    self.form = form
    self.trace = trace
    self.firstID = firstID
    self.lastID = lastID
    self.count = count
    self.replayPosition = replayPosition
  }
}

/// A position in Postgres's write-ahead log, on one timeline.
public struct ReplayPosition: Sendable, Hashable {
  /// Bytes from the start of the log (`pg_lsn`).
  public var position: UInt64
  /// The timeline, which changes when a replica is promoted.
  public var timeline: Int32

  /// Makes a position.
  public init(position: UInt64, timeline: Int32) {
    self.position = position
    self.timeline = timeline
  }

  /// Whether a replica that has replayed up to `replica` knows everything written before this position.
  public func isReached(by replica: ReplayPosition) -> Bool {
    timeline == replica.timeline && replica.position >= position
  }
}

/// Where a batch stands.
public enum BatchState: String, Sendable, Hashable, CaseIterable {
  /// Waits to be given out.
  case pending
  /// Given out to a signer.
  case leased
  /// Its signatures are stored.
  case signed
  /// Failed as often as its budget allows.
  case failed
  /// Its job was cancelled before it was signed.
  case cancelled

  /// Whether the batch still waits for something.
  public var isOpen: Bool { self == .pending || self == .leased }

  /// Whether the batch may go from this state to `next`.
  public func mayBecome(_ next: BatchState) -> Bool {
    switch (self, next) {
    case (.pending, .leased), (.leased, .pending), (.leased, .signed), (.leased, .failed): true
    case (.pending, .cancelled), (.leased, .cancelled): true
    // Only by a retry that someone asked for.
    case (.failed, .pending): true
    default: false
    }
  }
}

/// Why a batch comes back unsigned.
public enum BatchReturn: Sendable, Hashable {
  /// Its signer or coordinator stopped as planned: costs nothing.
  case drained
  /// No key could be leased, or the lease was lost: costs nothing but time.
  case keyUnavailable
  /// Its signer vanished or showed no progress: counts against the budget of lost signers.
  case signerLost
  /// Signing or reading it went wrong: counts against the budget of failures.
  case failed(reason: String)
}

/// How often a batch may come back before it counts as failed. Failures and lost signers have budgets of their own, so that
/// a rolling restart never fails good records.
public struct BatchBudget: Sendable, Hashable {
  /// What has been spent.
  public struct Spent: Sendable, Hashable {
    /// Returns that were failures.
    public var failures: Int32
    /// Returns that were lost signers.
    public var signerLosses: Int32

    /// What has been spent.
    public init(failures: Int32 = 0, signerLosses: Int32 = 0) {
      self.failures = failures
      self.signerLosses = signerLosses
    }
  }

  /// Failures after which the batch has failed.
  public var failures: Int32 = 5
  /// Lost signers after which the batch has failed.
  public var signerLosses: Int32 = 20

  /// The defaults.
  public init() {}

  /// What becomes of a batch that comes back: the state, what is spent, and the attempt for which it backs off (nil: at
  /// once).
  public func settle(
    _ cause: BatchReturn, _ spent: Spent
  ) -> (state: BatchState, spent: Spent, backoffAttempt: Int?) {
    var spent = spent
    switch cause {
    case .drained: return (.pending, spent, nil)
    case .keyUnavailable: return (.pending, spent, 0)
    case .signerLost:
      spent.signerLosses += 1
      // The first loss is most likely a restart: the batch is given out again at once.
      let backoff = spent.signerLosses == 1 ? nil : Int(spent.signerLosses) - 2
      return (spent.signerLosses >= signerLosses ? .failed : .pending, spent, backoff)
    case .failed:
      spent.failures += 1
      return (spent.failures >= failures ? .failed : .pending, spent, Int(spent.failures) - 1)
    }
  }
}
