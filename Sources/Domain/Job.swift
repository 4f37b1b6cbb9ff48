/// The signing of all records of a source that were there when it was submitted.
public struct Job: Sendable, Hashable {
  /// Its name.
  public var id: JobID
  /// Whose records.
  public var sourceID: SourceID
  /// The name of the source.
  public var sourceName: String
  /// How they are signed.
  public var algorithm: SignatureAlgorithm
  /// What is signed of each.
  public var form: SignatureForm
  /// Records per batch. Never changes.
  public var batchSize: BatchSize
  /// Higher runs first.
  public var priority: JobPriority
  /// Where it stands.
  public var state: JobState
  /// Chosen by the client so that a repeated submission creates one job; nil for none.
  public var idempotencyKey: IdempotencyKey?
  /// The trace that it was submitted in; nil for none.
  public var trace: JobTrace?
  /// The greatest record id covered.
  public var recordBound: RecordID
  /// Whether every record covered is in a batch.
  public var isPlanned: Bool
  /// What became of its records.
  public var counts: JobCounts
  /// When it was submitted.
  public var createdAt: Timestamp
  /// When it ended.
  public var endedAt: Timestamp?

  /// Makes a job.
  public init(
    id: JobID, sourceID: SourceID, sourceName: String, algorithm: SignatureAlgorithm, form: SignatureForm,
    batchSize: BatchSize, priority: JobPriority, state: JobState, idempotencyKey: IdempotencyKey?, trace: JobTrace?,
    recordBound: RecordID, isPlanned: Bool, counts: JobCounts, createdAt: Timestamp, endedAt: Timestamp?
  ) {
    self.id = id
    self.sourceID = sourceID
    self.sourceName = sourceName
    self.algorithm = algorithm
    self.form = form
    self.batchSize = batchSize
    self.priority = priority
    self.state = state
    self.idempotencyKey = idempotencyKey
    self.trace = trace
    self.recordBound = recordBound
    self.isPlanned = isPlanned
    self.counts = counts
    self.createdAt = createdAt
    self.endedAt = endedAt
  }
}

/// Where a job stands.
public enum JobState: String, Sendable, Hashable, CaseIterable {
  /// Batches are planned and signed.
  case running
  /// No new batches are given out.
  case paused
  /// Every record is signed or failed.
  case done
  /// Ended before that.
  case cancelled

  /// Whether nothing more will happen, unless failed batches are retried.
  public var hasEnded: Bool { self == .done || self == .cancelled }

  /// Whether the job may go from this state to `next`.
  public func mayBecome(_ next: JobState) -> Bool {
    switch (self, next) {
    case (.running, .paused), (.running, .done), (.running, .cancelled): true
    case (.paused, .running), (.paused, .cancelled), (.paused, .done): true
    // A retry of failed batches takes up a job that was done.
    case (.done, .running): true
    default: false
    }
  }

  /// Whether someone may ask for `next`: a job is done of itself, and taken up again only by a retry of failed batches.
  public func mayBeSet(to next: JobState) -> Bool {
    next != .done && self != .done && mayBecome(next)
  }
}

/// The records of a job by what became of them, and its batches.
public struct JobCounts: Sendable, Hashable {
  /// Records in a batch.
  public var planned: Int64 = 0
  /// Records signed by this job.
  public var signed: Int64 = 0
  /// Records that cannot be signed.
  public var failed: Int64 = 0
  /// Records that another job had signed before.
  public var alreadySigned: Int64 = 0
  /// Batches planned.
  public var batches: Int64 = 0
  /// Batches being signed.
  public var batchesLeased: Int64 = 0
  /// Batches committed.
  public var batchesSigned: Int64 = 0

  /// Nothing planned.
  public init() {}

  /// Records in a batch that is waiting or being signed.
  public var pending: Int64 { planned - signed - failed - alreadySigned }
}

/// Records per batch: 1 to 10,000.
public struct BatchSize: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The sizes that are accepted.
  public static let range = 1...10_000
  /// What a job gets when nothing is said.
  public static let `default` = BatchSize(rawValue: 1000)!

  /// The number of records.
  public let rawValue: Int

  /// Nil outside `range`.
  public init?(rawValue: Int) {
    guard Self.range.contains(rawValue) else { return nil }
    self.rawValue = rawValue
  }

  /// The number in decimal.
  public var description: String { String(rawValue) }
}

/// The rank of a job: -100 to 100, higher first.
public struct JobPriority: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The ranks that are accepted.
  public static let range = -100...100
  /// What a job gets when nothing is said.
  public static let `default` = JobPriority(rawValue: 0)!

  /// The rank.
  public let rawValue: Int

  /// Nil outside `range`.
  public init?(rawValue: Int) {
    guard Self.range.contains(rawValue) else { return nil }
    self.rawValue = rawValue
  }

  /// The number in decimal.
  public var description: String { String(rawValue) }

  /// A lower rank runs later.
  public static func < (left: JobPriority, right: JobPriority) -> Bool { left.rawValue < right.rawValue }
}

/// What a client calls one submission: 1 to 128 printable ASCII characters.
public struct IdempotencyKey: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let rawValue: String

  /// Nil for text that does not fit.
  public init?(rawValue: String) {
    guard (1...128).contains(rawValue.utf8.count), rawValue.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      return nil
    }
    self.rawValue = rawValue
  }

  /// The text.
  public var description: String { rawValue }
}
