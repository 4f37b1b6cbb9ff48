public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `RecordStore`.
  public func put(_ records: [NewRecord]) async throws(StorageError) -> PutOutcome {
    if records.isEmpty { return PutOutcome(inserted: 0, existing: 0, lastID: nil) }
    let payloads = PostgresValue.byteaArray(records.map(\.payload))
    guard records.contains(where: { $0.externalID != nil }) else {
      return try await query(RecordStatements.append, [payloads]) { result in
        PutOutcome(inserted: try result.number(0, 0), existing: 0, lastID: try result.serialID(0, 1))
      }
    }
    let parameters = [payloads, .nullableTextArray(records.map(\.externalID))]
    let count = records.count
    return try await transaction { connection, deadline in
      let added = try await connection.query(RecordStatements.appendNamed, parameters, deadline: deadline)
      let inserted = try added.number(0, 0)
      let lastAdded = try added.optionalInt64(0, 1)
      if inserted == count {
        return PutOutcome(inserted: inserted, existing: 0, lastID: lastAdded.map { RecordID(rawValue: $0) })
      }
      // A statement of its own, so that it sees what another transaction has committed in the meantime.
      let named = try await connection.query(RecordStatements.compare, parameters, deadline: deadline)
      if let taken = try named.optionalText(0, 0) { throw StorageError.externalIDTaken(taken) }
      let last = max(lastAdded ?? .min, try named.int64(0, 1))
      return PutOutcome(inserted: inserted, existing: count - inserted, lastID: RecordID(rawValue: last))
    }
  }

  /// See `RecordStore`.
  public func record(_ name: RecordName, source: Source) async throws(StorageError) -> Record? {
    guard let lookup = RecordStatements.Lookup(name, source) else { return nil }
    return try await query(RecordStatements.record(lookup, SourceSQL(source)), [lookup.value]) { result in
      guard result.rowCount > 0 else { return nil }
      return Record(
        id: try result.serialID(0, 0), externalID: try result.optionalText(0, 1),
        payload: try payload(result, of: source),
        createdAt: try result.optionalTime(0, 3))
    }
  }

  /// See `RecordStore`.
  public func status(
    _ name: RecordName, source: Source, job: JobID?
  ) async throws(StorageError) -> RecordStatus? {
    guard let lookup = RecordStatements.Lookup(name, source) else { return nil }
    let parameters = [.id(source.id), lookup.value, job.map { .id($0) } ?? .null]
    return try await query(RecordStatements.status(lookup, SourceSQL(source)), parameters) { result in
      guard result.rowCount > 0 else { return nil }
      let id: RecordID = try result.serialID(0, 0)
      let signature = try result.isNull(row: 0, column: 3) ? nil : result.signature(0, from: 3, recordID: id)
      guard try result.bool(0, 1) || signature != nil else { return nil }
      var failure: RecordFailure?
      var failedIn: JobID?
      if let code = try result.optionalText(0, 12) {
        failure = RecordFailure(
          recordID: id, code: RecordFailureCode(rawValue: code), message: try result.text(0, 13))
        failedIn = try result.uniqueID(0, 14)
      } else if let failedBatch: JobID = try result.optionalUniqueID(0, 16) {
        failure = .batchFailed(id, note: try result.optionalText(0, 15))
        failedIn = failedBatch
      }
      return RecordStatus(
        recordID: id,
        state: RecordState(
          hasSignature: signature != nil, hasFailure: failure != nil, isInLeasedBatch: try result.bool(0, 2)),
        signature: signature, failure: failure, failedIn: failedIn)
    }
  }
}

/// The payload in column 2; there is none where a row of a mapped table cannot be signed.
private func payload(_ result: PostgresResult, of source: Source) throws -> [UInt8] {
  guard let payload = try result.optionalBytes(0, 2) else {
    throw StorageError(
      .wrongState,
      "the payload of record \(try result.int64(0, 0)) of \(source.name) is NULL or above "
        + "\(Record.maximumPayloadBytes) bytes, and cannot be signed")
  }
  return payload
}

enum RecordStatements {
  /// How a record is found: by its id, or by its external id.
  struct Lookup {
    let value: PostgresValue
    let isByExternalID: Bool

    /// Nil where no record can be found.
    init?(_ name: RecordName, _ source: Source) {
      switch name {
      case .id(let id): (value, isByExternalID) = (.id(id), false)
      case .externalID(let text):
        guard source.name == Source.records else { return nil }
        (value, isByExternalID) = (.text(text), true)
      }
    }
  }

  // The order of the input is the order of the ids: the identity is drawn after the sort.
  static let append: PostgresStatement = """
    WITH added AS (
      INSERT INTO chancery.records (payload)
      SELECT u.payload FROM unnest($1::bytea[]) WITH ORDINALITY u(payload, place) ORDER BY u.place
      RETURNING id)
    SELECT count(*), max(id) FROM added
    """

  static let appendNamed: PostgresStatement = """
    WITH added AS (
      INSERT INTO chancery.records (payload, external_id)
      SELECT u.payload, u.external_id
      FROM unnest($1::bytea[], $2::text[]) WITH ORDINALITY u(payload, external_id, place) ORDER BY u.place
      ON CONFLICT (external_id) WHERE external_id IS NOT NULL DO NOTHING
      RETURNING id)
    SELECT count(*), max(id) FROM added
    """

  /// An external id that is taken by other bytes, if there is one, and the greatest id of all named.
  static let compare: PostgresStatement = """
    SELECT min(u.external_id) FILTER (WHERE r.payload <> u.payload), max(r.id)
    FROM unnest($1::bytea[], $2::text[]) u(payload, external_id)
    JOIN chancery.records r ON r.external_id = u.external_id
    """

  static func record(_ lookup: Lookup, _ source: SourceSQL) -> PostgresStatement {
    let condition = lookup.isByExternalID ? "r.external_id = $1::text" : "r.\(source.id) = $1::bigint"
    return PostgresStatement(
      """
      SELECT r.\(source.id), \(source.externalID), \(source.payload(of: "r")), \(source.createdAt)
      FROM \(source.relation) r WHERE \(condition)
      """, isReadOnly: true)
  }

  /// Columns: 0 id, 1 there is a row, 2 in a leased batch, 3… the signature, 12… the failure alone, 15… the failed batch.
  static func status(_ lookup: Lookup, _ source: SourceSQL) -> PostgresStatement {
    let wanted =
      lookup.isByExternalID
      ? "SELECT id AS record_id FROM chancery.records WHERE external_id = $2::text"
      : "SELECT $2::bigint AS record_id"
    return PostgresStatement(
      """
      SELECT w.record_id,
        EXISTS (SELECT FROM \(source.relation) r WHERE r.\(source.id) = w.record_id),
        EXISTS (
          SELECT FROM chancery.jobs j
          JOIN chancery.batches b ON b.job_id = j.id AND b.seq = chancery.batch_from(j.id, w.record_id)
          WHERE j.source_id = $1::int AND ($3::uuid IS NULL OR j.id = $3) AND j.state IN ('running', 'paused')
            AND b.first_id <= w.record_id AND b.state = 'leased'),
        \(SignatureStatements.columns),
        f.code, f.message, f.job_id, fb.note, fb.job_id
      FROM (\(wanted)) w
      LEFT JOIN chancery.signatures s ON s.source_id = $1::int AND s.record_id = w.record_id
      LEFT JOIN LATERAL (
        SELECT x.code, x.message, x.job_id FROM chancery.record_failures x
        WHERE x.source_id = $1::int AND x.record_id = w.record_id AND ($3::uuid IS NULL OR x.job_id = $3)
        ORDER BY x.failed_at DESC, x.job_id LIMIT 1) f ON true
      LEFT JOIN LATERAL (
        SELECT b.note, b.job_id FROM chancery.jobs j
        JOIN chancery.batches b ON b.job_id = j.id AND b.seq = chancery.batch_from(j.id, w.record_id)
        WHERE j.source_id = $1::int AND ($3::uuid IS NULL OR j.id = $3)
          AND (j.total_failed IS NULL OR j.total_failed > 0)
          AND b.first_id <= w.record_id AND b.state = 'failed'
        ORDER BY j.number DESC LIMIT 1) fb ON true
      """, isReadOnly: true)
  }
}
