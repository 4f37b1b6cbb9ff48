public import Domain

/// Records, their sources, and the signatures over them.
public protocol RecordStore: Sendable {
  /// Appends records, all or none. A record whose external id is taken by one with the same payload is counted as existing.
  ///
  /// Throws `conflict` naming the external id when it is taken by a record with another payload.
  func put(_ records: [NewRecord]) async throws(StorageError) -> PutOutcome

  /// One record with its payload, nil if there is none.
  func record(_ name: RecordName, source: Source) async throws(StorageError) -> Record?

  /// What became of a record, in `job` or in any; nil if there is no such record.
  func status(_ name: RecordName, source: Source, job: JobID?) async throws(StorageError) -> RecordStatus?

  /// The source called `name`, nil if there is none.
  func source(named name: String) async throws(StorageError) -> Source?

  /// All sources, by name.
  func sources() async throws(StorageError) -> [Source]

  /// The records of `batch` after the id `after`, ascending: at most `maximumBytes` of payload, but at least one record
  /// if there is one. Read from a replica if it has replayed what the batch needs and has as many rows, else from the primary.
  func payloads(
    of batch: ClaimedBatch, after: RecordID?, maximumBytes: Int
  ) async throws(StorageError) -> PayloadPage

  /// The records that failed alone in a job, in the order of their ids, after the id `after`: at most `limit`. Those of
  /// batches that failed as a whole are not among them.
  func failures(of job: JobID, after: RecordID?, limit: Int) async throws(StorageError) -> [RecordFailure]

  /// Signatures in the order of record ids, after the id `after`: at most about `maximumBytes`, but at least one if there is
  /// one.
  func signatures(_ query: SignatureQuery, after: RecordID?, maximumBytes: Int) async throws(StorageError)
    -> [StoredSignature]
}

/// A record to append.
public struct NewRecord: Sendable, Hashable {
  /// The bytes to sign; its limits were checked.
  public var payload: [UInt8]
  /// The client's own name for it; nil for none.
  public var externalID: String?

  /// Makes a record to append.
  public init(payload: [UInt8], externalID: String?) {
    self.payload = payload
    self.externalID = externalID
  }
}

/// What `put` stored.
public struct PutOutcome: Sendable, Hashable {
  /// Records appended.
  public var inserted: Int
  /// Records that were there.
  public var existing: Int
  /// The greatest id stored or found; nil if there were no records.
  public var lastID: RecordID?

  /// Makes an outcome.
  public init(inserted: Int, existing: Int, lastID: RecordID?) {
    self.inserted = inserted
    self.existing = existing
    self.lastID = lastID
  }
}

/// How a caller names a record.
public enum RecordName: Sendable, Hashable {
  /// By the id that the database gave it.
  case id(RecordID)
  /// By the client's own name; only records of the built-in source have one.
  case externalID(String)
}

/// What became of a record.
public struct RecordStatus: Sendable, Hashable {
  /// The record.
  public var recordID: RecordID
  /// Where it stands.
  public var state: RecordState
  /// Its signature, if it has one.
  public var signature: StoredSignature?
  /// Why it failed, if it failed.
  public var failure: RecordFailure?
  /// The job in which it failed, if it failed.
  public var failedIn: JobID?

  /// Makes a status.
  public init(
    recordID: RecordID, state: RecordState, signature: StoredSignature? = nil, failure: RecordFailure? = nil,
    failedIn: JobID? = nil
  ) {
    self.recordID = recordID
    self.state = state
    self.signature = signature
    self.failure = failure
    self.failedIn = failedIn
  }
}

/// Some records of a batch, column by column.
public struct PayloadPage: Sendable, Hashable {
  /// The records, ascending.
  public var ids: [Int64]
  /// Bytes of each payload.
  public var sizes: [UInt32]
  /// The payloads, one after another.
  public var payloads: [UInt8]
  /// The records among and after them that cannot be signed, ascending: a mapped table may hold anything.
  public var failures: [RecordFailure]

  /// Makes a page.
  public init(ids: [Int64] = [], sizes: [UInt32] = [], payloads: [UInt8] = [], failures: [RecordFailure] = []) {
    self.ids = ids
    self.sizes = sizes
    self.payloads = payloads
    self.failures = failures
  }

  /// The greatest id; nil on an empty page.
  public var lastID: RecordID? {
    guard let last = [ids.last, failures.last?.recordID.rawValue].compactMap({ $0 }).max() else { return nil }
    return RecordID(rawValue: last)
  }
}

/// Which signatures to read.
public struct SignatureQuery: Sendable, Hashable {
  /// Of which source.
  public var source: Source
  /// Of which job; nil for all.
  public var job: JobID?
  /// Whether to read payloads and external ids too.
  public var includesPayload: Bool
  /// Whether to read external ids, if not payloads.
  public var includesExternalID: Bool

  /// Makes a query.
  public init(source: Source, job: JobID?, includesPayload: Bool, includesExternalID: Bool = false) {
    self.source = source
    self.job = job
    self.includesPayload = includesPayload
    self.includesExternalID = includesExternalID || includesPayload
  }
}

/// A signature as stored.
public struct StoredSignature: Sendable, Hashable {
  /// The record signed.
  public var recordID: RecordID
  /// The job that signed it.
  public var jobID: JobID
  /// The batch within the job.
  public var batchSeq: Int32
  /// The key that signed it.
  public var keyID: KeyID
  /// The lease under which the key was used.
  public var epoch: Epoch
  /// How it was signed.
  public var algorithm: SignatureAlgorithm
  /// What was signed of the record.
  public var form: SignatureForm
  /// As the algorithm defines it.
  public var signature: [UInt8]
  /// SHA-256 of the payload that was signed.
  public var payloadDigest: [UInt8]
  /// When it was stored.
  public var signedAt: Timestamp
  /// The client's own name for the record, if asked for.
  public var externalID: String?
  /// The payload, if asked for and still there.
  public var payload: [UInt8]?

  /// Makes a stored signature.
  public init(
    recordID: RecordID, jobID: JobID, batchSeq: Int32, keyID: KeyID, epoch: Epoch, algorithm: SignatureAlgorithm,
    form: SignatureForm, signature: [UInt8], payloadDigest: [UInt8], signedAt: Timestamp, externalID: String? = nil,
    payload: [UInt8]? = nil
  ) {
    self.recordID = recordID
    self.jobID = jobID
    self.batchSeq = batchSeq
    self.keyID = keyID
    self.epoch = epoch
    self.algorithm = algorithm
    self.form = form
    self.signature = signature
    self.payloadDigest = payloadDigest
    self.signedAt = signedAt
    self.externalID = externalID
    self.payload = payload
  }
}
