import Domain

/// Which signers are connected, what each may still be given, and which batches each has: a pure value.
struct WorkLedger {
  typealias SessionID = Int

  /// Where a batch stands with its signer.
  enum Phase: Equatable {
    /// Records are on their way, or being signed; the signer was last heard of at this instant.
    case working(lastProgress: ContinuousClock.Instant)
    /// The result is here and is being stored: no longer the signer's to lose.
    case committing
  }

  /// The records of a batch that were not sent.
  struct Unsent: Equatable {
    /// How many were gone.
    var missing = 0
    /// Those that cannot be signed.
    var failures: [RecordFailure] = []
  }

  private struct Work {
    var phase: Phase
    var unsent = Unsent()
  }

  private struct Session {
    /// What the signer can sign with.
    let algorithms: Set<SignatureAlgorithm>
    var batchCredit = 0
    /// Takes no new batches.
    var isDraining = false
    /// Its stream has ended; it is kept until what it sent is settled.
    var isClosed = false
    var batches: [BatchAttempt: Work] = [:]

    /// Whether it takes new batches.
    var mayTake: Bool { !isDraining && batchCredit > 0 }
    /// Whether a quarter of what it can have is free: so that several batches are claimed at a time.
    var isWorthAClaim: Bool { mayTake && 3 * batchCredit >= batches.values.count { $0.phase != .committing } }
  }

  private var sessions: [SessionID: Session] = [:]
  private var nextID: SessionID = 0

  /// How many batches may be given out, over all signers.
  var batchCredit: Int { sessions.values.reduce(0) { $0 + ($1.isDraining ? 0 : $1.batchCredit) } }
  /// Whether some signer has so much credit that batches should be claimed.
  var isWorthAClaim: Bool { sessions.values.contains { $0.isWorthAClaim } }
  /// What the signers that may be given batches can sign with.
  var algorithms: Set<SignatureAlgorithm> {
    sessions.values.reduce(into: []) { if $1.mayTake { $0.formUnion($1.algorithms) } }
  }
  /// How many signers are connected.
  var sessionCount: Int { sessions.values.count { !$0.isClosed } }
  /// How many batches signers have, or are being stored.
  var batchCount: Int { sessions.values.reduce(0) { $0 + $1.batches.count } }

  /// Whether a batch is with a signer or being stored.
  func has(_ batch: BatchAttempt) -> Bool { sessions.values.contains { $0.batches[batch] != nil } }

  mutating func open(_ algorithms: Set<SignatureAlgorithm>) -> SessionID {
    defer { nextID += 1 }
    sessions[nextID] = Session(algorithms: algorithms)
    return nextID
  }

  /// The signer is gone: returns the batches that it had, in order. Those being stored stay until they are settled.
  mutating func close(_ id: SessionID) -> [BatchAttempt] {
    guard let session = sessions[id] else { return [] }
    let lost = session.batches.filter { $0.value.phase != .committing }.keys.sorted()
    for batch in lost { sessions[id]!.batches[batch] = nil }
    sessions[id]!.isDraining = true
    sessions[id]!.isClosed = true
    removeIfOver(id)
    return lost
  }

  mutating func addCredit(_ count: Int, to id: SessionID) { sessions[id]?.batchCredit += count }

  /// The signer takes no new batches.
  mutating func drain(_ id: SessionID) { sessions[id]?.isDraining = true }

  /// Gives a batch to the signer with the most credit of those that sign with its algorithm; nil if none has any.
  mutating func assign(
    _ batch: BatchAttempt, _ algorithm: SignatureAlgorithm, now: ContinuousClock.Instant
  ) -> SessionID? {
    let open = sessions.filter { $0.value.mayTake && $0.value.algorithms.contains(algorithm) }
    guard let best = open.max(by: { ($0.value.batchCredit, $1.key) < ($1.value.batchCredit, $0.key) })?.key else {
      return nil
    }
    sessions[best]!.batchCredit -= 1
    sessions[best]!.batches[batch] = Work(phase: .working(lastProgress: now))
    return best
  }

  /// The signer works on a batch; returns whether it is still its own.
  mutating func progress(_ batch: BatchAttempt, of id: SessionID, now: ContinuousClock.Instant) -> Bool {
    guard case .working? = sessions[id]?.batches[batch]?.phase else { return false }
    sessions[id]!.batches[batch]!.phase = .working(lastProgress: now)
    return true
  }

  /// These of a batch's records were not sent.
  mutating func leaveOut(_ unsent: Unsent, of batch: BatchAttempt, of id: SessionID) {
    sessions[id]?.batches[batch]?.unsent = unsent
  }

  /// The result of a batch is here. A batch that was taken back, or was another coordinator's, is taken up again: the store
  /// decides whether its attempt still counts. Returns which of its records were not sent; nil when it is being stored
  /// already.
  mutating func beginCommit(_ batch: BatchAttempt, of id: SessionID) -> Unsent? {
    guard sessions[id] != nil, sessions[id]!.batches[batch]?.phase != .committing else { return nil }
    sessions[id]!.batches[batch, default: Work(phase: .committing)].phase = .committing
    return sessions[id]!.batches[batch]!.unsent
  }

  /// A batch is no longer with its signer: stored, refused or given back. Returns whether it was.
  mutating func remove(_ batch: BatchAttempt, of id: SessionID) -> Bool {
    defer { removeIfOver(id) }
    return sessions[id]?.batches.removeValue(forKey: batch) != nil
  }

  /// Takes back the batches without progress since `limit`, in order.
  mutating func takeStale(before limit: ContinuousClock.Instant) -> [BatchAttempt] {
    var stale: [BatchAttempt] = []
    for (id, session) in sessions {
      for (batch, work) in session.batches {
        guard case .working(let last) = work.phase, last < limit else { continue }
        sessions[id]!.batches[batch] = nil
        stale.append(batch)
      }
    }
    return stale.sorted()
  }

  private mutating func removeIfOver(_ id: SessionID) {
    if let session = sessions[id], session.isClosed, session.batches.isEmpty { sessions[id] = nil }
  }
}
