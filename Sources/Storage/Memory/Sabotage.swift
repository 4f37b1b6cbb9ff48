import Domain

/// A way to break the store on purpose, so that a checker can show that it notices. In memory only.
public enum Sabotage: String, Sendable, Hashable, CaseIterable {
  /// Commits look at neither the epoch nor the lease of the key: promise 4.
  case unfencedCommit = "unfenced_commit"
  /// Commits do not compare the state and attempt of the batch, and store over what is there: promise 2.
  case blindCommit = "blind_commit"
  /// Commits leave the last signature of a batch out: promises 1 and 7.
  case lostRecord = "lost_record"
  /// Commits store one signature with a changed byte: promise 3.
  case wrongSignature = "wrong_signature"
  /// Commits store one signature of a batch under another key: promise 5.
  case mixedKeys = "mixed_keys"
  /// Commits remove a signature of an earlier batch: promise 8.
  case forgottenSignature = "forgotten_signature"
  /// Commits change the batch size of their job: promise 9.
  case changedBatchSize = "changed_batch_size"
  /// The cache gives out the most recently used key: promise 6.
  case mostRecentlyUsed = "most_recently_used"
  /// Batches of a coordinator that is dead are never given to another: promise 11.
  case neverReclaimed = "never_reclaimed"
  /// A result that is committed again, because the first answer was lost, is refused though it is stored: promise 12.
  case deniedCommit = "denied_commit"
}

extension Sabotage {
  /// Whether a result that does not fit is stored all the same.
  func ignores(_ outcome: CommitOutcome) -> Bool {
    switch (self, outcome) {
    case (.unfencedCommit, .refused(.staleLease)), (.unfencedCommit, .refused(.wrongHolder)),
      (.unfencedCommit, .refused(.keyDisabled)):
      true
    case (.blindCommit, .refused(.staleAttempt)), (.blindCommit, .committed): true
    default: false
    }
  }
}

extension MemoryState {
  /// Spoils what a commit is about to store, or has stored.
  mutating func spoil(_ signatures: inout [StoredSignature], source index: Int, job: JobID) {
    switch sabotage {
    case .lostRecord: if signatures.count > 1 { signatures.removeLast() }
    case .wrongSignature: if !signatures.isEmpty { signatures[0].signature[0] ^= 1 }
    case .mixedKeys:
      guard signatures.count > 1, let other = keyIDs.first(where: { $0 != signatures[0].keyID }) else { return }
      signatures[1].keyID = other
    case .forgottenSignature:
      if let oldest = sources[index].signatures.keys.min() { sources[index].remove(oldest) }
    case .changedBatchSize:
      guard let size = jobs[job]?.batchSize.rawValue, let smaller = BatchSize(rawValue: size - 1) else { return }
      jobs[job]?.batchSize = smaller
    case nil, .unfencedCommit, .blindCommit, .mostRecentlyUsed, .neverReclaimed, .deniedCommit: break
    }
  }
}
