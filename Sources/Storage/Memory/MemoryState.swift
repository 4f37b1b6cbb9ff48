package import Domain

/// What a `MemoryDatabase` holds, as a value. Nothing that a caller can see depends on the order of a dictionary.
package struct MemoryState: Sendable {
  /// When a step happens, on three clocks.
  struct Moment: Sendable {
    var instant: ContinuousClock.Instant
    var time: Timestamp
    /// Counts the steps: what the position in the write-ahead log is to Postgres.
    var tick: Int64
  }

  var ticks: Int64 = 0
  /// How it is broken on purpose.
  var sabotage: Sabotage?
  package var sources: [MemorySource] = [.records]
  var lastRecordID: Int64 = 0
  var recordsByExternalID: [String: Int64] = [:]

  package var jobs: [JobID: MemoryJob] = [:]
  /// By age.
  var jobsByAge: [JobID] = []
  /// By priority, then by age: the order in which their batches are given out.
  var jobsByRank: [JobID] = []
  var jobsByIdempotencyKey: [IdempotencyKey: JobID] = [:]
  var heartbeats: [CoordinatorID: ContinuousClock.Instant] = [:]

  var lastKeyID: Int64 = 0
  package var keys: [KeyID: MemoryKey] = [:]
  /// Ascending.
  var keyIDs: [KeyID] = []
  var lastGeneration: Int64 = 0
  var generations: [SignatureAlgorithm: Int64] = [:]
  var decisions: [MemoryDecision] = []
  var decisionNames: Set<MemoryDecision.Name> = []

  /// Oldest first.
  var events: [PlacedEvent] = []
  var lastEventID: Int64 = 0

  init() {}
}

/// A decision of the lease cache that is not part of a granted lease.
struct MemoryDecision: Sendable {
  struct Name: Hashable, Sendable {
    var generation: Int64
    var sequence: Int64
    var keyID: Int64
  }

  var generation: Int64
  var sequence: Int64
  var kind: LeaseReplay.Event.Kind
  /// 0 where it is about no key.
  var keyID: Int64
  var rank: Int64
  /// The lease under which the key was held.
  var leaseID: LeaseID?
  var tick: Int64
}

extension MemoryState {
  /// The source of that number; every source that a caller can hold is here.
  func source(_ id: SourceID) throws(StorageError) -> MemorySource {
    try sources[sourceIndex(id)]
  }

  func sourceIndex(_ id: SourceID) throws(StorageError) -> Int {
    guard let index = sources.firstIndex(where: { $0.source.id == id }) else {
      throw StorageError(.notFound, "there is no source \(id): list the sources")
    }
    return index
  }
}
