import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `AuditStore`.
  ///
  /// Reads every signature, batch and lease once, all on one snapshot and without a lock: what runs at the same time is not
  /// held up, but what it leaves behind cannot be cleaned up until the audit is done. Memory does not grow with what is
  /// stored, except for the trail of key use, with the number of keys.
  public func audit() async throws(StorageError) -> AuditReport {
    let sources = try await sources()
    return try await onSnapshot { connection, deadline in try await Audit(connection, deadline).report(sources) }
  }

  /// Runs what reads whole tables, all of it on one snapshot.
  func onSnapshot<Value: Sendable>(
    _ body: @Sendable (PostgresConnection, ContinuousClock.Instant) async throws -> Value
  ) async throws(StorageError) -> Value {
    let deadline = ContinuousClock.now + limits.audit
    do {
      return try await primary.withConnection(deadline: deadline) { connection in
        try await connection.run { connection in
          try await connection.transaction(isolation: .repeatableRead, readOnly: true, deadline: deadline) {
            connection in
            try await connection.execute(AuditStatements.settings, deadline: deadline)
            return try await body(connection, deadline)
          }
        }
      }
    } catch {
      throw StorageError(from: error)
    }
  }
}

/// One audit, within its transaction.
private struct Audit {
  let connection: PostgresConnection
  let deadline: ContinuousClock.Instant

  init(_ connection: PostgresConnection, _ deadline: ContinuousClock.Instant) {
    self.connection = connection
    self.deadline = deadline
  }

  func report(_ sources: [Source]) async throws -> AuditReport {
    let signatures = try await query(AuditStatements.signatures)
    return AuditReport(findings: [
      try await nothingLost(sources),
      try await finding(.signedOnce, AuditStatements.signedOnce),
      try await finding(.keyExclusive, AuditStatements.keyExclusive),
      try read(.oneKeyPerBatch, signatures, row: 0),
      try await leastRecentlyUsed(),
      try read(.countsAgree, signatures, row: 1),
      // One look cannot tell whether what was signed is still signed.
      AuditReport.Finding(invariant: .signedStays, checked: 0, violations: 0),
      try await finding(.batchSizeFixed, AuditStatements.batchSize),
    ])
  }

  private func nothingLost(_ sources: [Source]) async throws -> AuditReport.Finding {
    var total = try await finding(.nothingLost, AuditStatements.endedEarly)
    for source in sources {
      let found = try await query(AuditStatements.lost(SourceSQL(source)), [.id(source.id)])
      var finding = try read(.nothingLost, found, row: 0)
      if source.name != Source.records {
        // Whoever owns the table may have added the row after the job was planned.
        finding.undecidable = finding.violations
        finding.violations = 0
        finding.examples = []
      }
      total.checked += finding.checked
      total.violations += finding.violations
      total.undecidable += finding.undecidable
      total.examples += finding.examples.prefix(AuditReport.Finding.maximumExamples - total.examples.count)
    }
    return total
  }

  private func leastRecentlyUsed() async throws -> AuditReport.Finding {
    try await connection.withCursor(AuditStatements.leaseTrail, rows: 5000, deadline: deadline) { cursor in
      var replay = LeaseReplay()
      while let chunk = try await cursor.next() {
        for row in 0..<chunk.rowCount { replay.consume(try chunk.leaseEvent(row)) }
      }
      return AuditReport.Finding(
        invariant: .leastRecentlyUsed, checked: replay.grants, violations: replay.inversions,
        undecidable: replay.undecidable, examples: replay.examples)
    }
  }

  private func query(_ statement: PostgresStatement, _ parameters: [PostgresValue] = []) async throws -> PostgresResult
  {
    try await connection.query(statement, parameters, deadline: deadline)
  }

  private func finding(
    _ invariant: AuditReport.Invariant, _ statement: PostgresStatement
  ) async throws -> AuditReport.Finding {
    try read(invariant, try await query(statement), row: 0)
  }

  /// Reads how many were checked, broke the promise, and could not be decided, and examples.
  private func read(
    _ invariant: AuditReport.Invariant, _ result: PostgresResult, row: Int
  ) throws -> AuditReport.Finding {
    AuditReport.Finding(
      invariant: invariant, checked: try result.int64(row, 0), violations: try result.int64(row, 1),
      undecidable: try result.int64(row, 2), examples: try result.textArray(row, 3))
  }
}

extension PostgresResult {
  /// Reads a row of `AuditStatements.leaseTrail`.
  fileprivate func leaseEvent(_ row: Int) throws -> LeaseReplay.Event {
    let kind = try int16(row, 2)
    return LeaseReplay.Event(
      generation: try int64(row, 0), sequence: try int64(row, 1),
      kind: try known(LeaseReplay.Event.Kind(rawValue: kind), row, 2, "\(kind)"), keyID: try int64(row, 3),
      rank: try int64(row, 4), usableUntil: try optionalInt64(row, 5), madeBefore: try optionalInt64(row, 6),
      isEndKnown: try bool(row, 7))
  }
}
