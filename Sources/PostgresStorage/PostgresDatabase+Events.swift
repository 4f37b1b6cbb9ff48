import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `EventStore`.
  ///
  /// Where the partition of the day is missing, it and the next day's are made.
  public func append(_ events: [StoredEvent]) async throws(StorageError) {
    if events.isEmpty { return }
    let parameters = EventStatements.parameters(events)
    try await retrying { deadline in
      do {
        _ = try await primary.query(EventStatements.append, parameters, deadline: deadline)
      } catch let error as PostgresError where error.sqlState == .checkViolation {
        _ = try await primary.query(EventStatements.createPartitions, deadline: deadline)
        _ = try await primary.query(EventStatements.append, parameters, deadline: deadline)
      }
    }
  }

  /// See `EventStore`.
  public func newestEvents(limit: Int) async throws(StorageError) -> [StoredEvent] {
    try await query(EventStatements.newest, [.count(limit)]) { result in try result.map(result.event) }
  }

  /// Drops all events but those stored on the last `days` days (UTC), today included; returns how many days were dropped.
  /// `days` must be at least 1.
  public func dropEvents(keepingDays days: Int) async throws(StorageError) -> Int {
    precondition(days >= 1, "at least one day of events is kept, not \(days)")
    return try await query(EventStatements.drop, [.count(days)]) { try $0.number(0, 0) }
  }
}

extension PostgresResult {
  fileprivate func event(_ row: Int) throws -> StoredEvent {
    let names = try textArray(row, 6)
    let values = try textArray(row, 7)
    return StoredEvent(
      level: try text(row, 0), at: try time(row, 1), service: try text(row, 2), instance: try text(row, 3),
      name: try text(row, 4), message: try text(row, 5),
      attributes: Dictionary(zip(names, values), uniquingKeysWith: { $1 }))
  }
}

enum EventStatements {
  /// $7 and $8 have the names and values of the attributes of all events one after another, $9 and $10 where those of each
  /// event begin and how many there are.
  static let append: PostgresStatement = """
    INSERT INTO chancery.events (level, at, service, instance, name, message, attributes, stored_at)
    SELECT e.level, to_timestamp(e.at / 1000000) + e.at % 1000000 * interval '1 microsecond', e.service, e.instance,
      e.name, e.message,
      jsonb_object(($7::text[])[e.first + 1:e.first + e.count], ($8::text[])[e.first + 1:e.first + e.count]),
      statement_timestamp()
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $9::int[], $10::int[])
      WITH ORDINALITY e(level, at, service, instance, name, message, first, count, place)
    ORDER BY e.place
    """

  static let newest = PostgresStatement(
    """
    SELECT level, at, service, instance, name, message,
      ARRAY(SELECT key FROM jsonb_each_text(attributes) ORDER BY key),
      ARRAY(SELECT value FROM jsonb_each_text(attributes) ORDER BY key)
    FROM chancery.events ORDER BY stored_at DESC, id DESC LIMIT $1::bigint
    """, isReadOnly: true)

  static let createPartitions: PostgresStatement = "SELECT chancery.create_event_partitions()"

  static let drop: PostgresStatement = "SELECT chancery.drop_event_partitions($1::int)"

  static func parameters(_ events: [StoredEvent]) -> [PostgresValue] {
    var names: [String] = []
    var values: [String] = []
    var firsts: [Int32] = []
    for event in events {
      firsts.append(Int32(names.count))
      for (name, value) in event.attributes.sorted(by: { $0.key < $1.key }) {
        names.append(name)
        values.append(value)
      }
    }
    return [
      .textArray(events.map(\.level)), .int64Array(events.map(\.at.rawValue)), .textArray(events.map(\.service)),
      .textArray(events.map(\.instance)), .textArray(events.map(\.name)), .textArray(events.map(\.message)),
      .textArray(names), .textArray(values), .int32Array(firsts),
      .int32Array(events.map { Int32($0.attributes.count) }),
    ]
  }
}
