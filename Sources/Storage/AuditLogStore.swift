public import Domain

/// What has happened, chained by hashes: see docs/audit-log.md.
public protocol AuditLogStore: Sendable {
  /// Seals what has happened since, the oldest first, at most `maximum` entries.
  func sealAuditLog(maximum: Int) async throws(StorageError) -> SealedEntries
}

/// The newest entry of the audit log. Whoever has noted it can tell later whether the log was changed up to there.
public struct AuditLogHead: Sendable, Hashable {
  /// Its place in the log, from 0.
  public var seq: Int64
  /// Its hash, and so that of all before it.
  public var hash: SHA256Digest

  /// Makes a head.
  public init(seq: Int64, hash: SHA256Digest) {
    self.seq = seq
    self.hash = hash
  }
}

/// What was sealed.
public struct SealedEntries: Sendable, Hashable {
  /// How many entries.
  public var count: Int
  /// The head of the log after them.
  public var head: AuditLogHead

  /// Makes a value.
  public init(count: Int, head: AuditLogHead) {
    self.count = count
    self.head = head
  }
}
