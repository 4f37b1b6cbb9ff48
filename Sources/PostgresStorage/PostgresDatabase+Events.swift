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
  ///
  /// Only the partitions of the days that may have them are read.
  public func events(
    _ filter: EventFilter, order: EventOrder, after position: EventPosition?, limit: Int
  ) async throws(StorageError) -> [PlacedEvent] {
    let stored = filter.storedTimes
    let start: EventPosition
    let statement: PostgresStatement
    switch order {
    case .oldestFirst:
      start = position ?? EventPosition(storedAt: stored.lowerBound, id: .min)
      statement = EventStatements.oldestFirst
    case .newestFirst:
      start = position ?? EventPosition(storedAt: stored.upperBound, id: .max)
      statement = EventStatements.newestFirst
    }
    let levels = EventLevel.allCases.filter { $0 >= filter.minimumLevel }.map(\.rawValue)
    let attributes = filter.attributes.sorted { $0.key < $1.key }
    let parameters: [PostgresValue] = [
      .time(stored.lowerBound), .time(stored.upperBound), .time(start.storedAt), .int64(start.id), .count(limit),
      .time(filter.times.lowerBound), .time(filter.times.upperBound), .textArray(levels), .textArray(filter.services),
      .textArray(filter.instances), .text(filter.name), .textArray(attributes.map(\.key)),
      .textArray(attributes.map(\.value)), .text(filter.text),
    ]
    return try await query(statement, parameters) { result in try result.map(result.event) }
  }

  /// See `EventStore`.
  public func retainEvents(days: Int) async throws(StorageError) -> Int {
    precondition(days >= 1, "at least one day of events is kept, not \(days)")
    try await run(EventStatements.createPartitions)
    return try await query(EventStatements.drop, [.count(days)]) { try $0.number(0, 0) }
  }
}

extension PostgresResult {
  fileprivate func event(_ row: Int) throws -> PlacedEvent {
    let names = try textArray(row, 6)
    let values = try textArray(row, 7)
    let event = StoredEvent(
      level: try name(row, 0), at: try time(row, 1), service: try text(row, 2), instance: try text(row, 3),
      name: try text(row, 4), message: try text(row, 5),
      attributes: Dictionary(zip(names, values), uniquingKeysWith: { $1 }))
    return PlacedEvent(
      event: event, position: EventPosition(storedAt: try time(row, 8), id: try int64(row, 9)))
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

  static let oldestFirst = select(isOldestFirst: true)
  static let newestFirst = select(isOldestFirst: false)

  /// The first two conditions choose partitions, the third is where the page begins; the others look at each event.
  private static func select(isOldestFirst: Bool) -> PostgresStatement {
    PostgresStatement(
      """
      SELECT level, at, service, instance, name, message,
        ARRAY(SELECT key FROM jsonb_each_text(attributes) ORDER BY key),
        ARRAY(SELECT value FROM jsonb_each_text(attributes) ORDER BY key), stored_at, id
      FROM chancery.events
      WHERE stored_at >= $1::timestamptz AND stored_at < $2::timestamptz
        AND (stored_at, id) \(isOldestFirst ? ">" : "<") ($3::timestamptz, $4::bigint)
        AND at >= $6::timestamptz AND at < $7::timestamptz AND level = ANY($8::text[])
        AND (cardinality($9::text[]) = 0 OR service = ANY($9::text[]))
        AND (cardinality($10::text[]) = 0 OR instance = ANY($10::text[]))
        AND ($11::text = '' OR name = $11::text OR right($11::text, 1) = '.' AND starts_with(name, $11::text))
        AND attributes @> jsonb_object($12::text[], $13::text[])
        AND ($14::text = '' OR position(lower($14::text COLLATE "C") IN lower(message COLLATE "C")) > 0)
      ORDER BY stored_at \(isOldestFirst ? "" : "DESC"), id \(isOldestFirst ? "" : "DESC") LIMIT $5::bigint
      """, isReadOnly: true)
  }

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
      .textArray(events.map(\.level.rawValue)), .int64Array(events.map(\.at.rawValue)),
      .textArray(events.map(\.service)),
      .textArray(events.map(\.instance)), .textArray(events.map(\.name)), .textArray(events.map(\.message)),
      .textArray(names), .textArray(values), .int32Array(firsts),
      .int32Array(events.map { Int32($0.attributes.count) }),
    ]
  }
}
