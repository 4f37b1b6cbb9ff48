public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `RecordStore`.
  public func source(named name: String) async throws(StorageError) -> Source? {
    try await query(SourceStatements.named, [.text(name)]) { result in
      result.rowCount == 0 ? nil : try result.source(0, from: 0)
    }
  }

  /// See `RecordStore`.
  public func sources() async throws(StorageError) -> [Source] {
    try await query(SourceStatements.all) { result in try result.map { try result.source($0, from: 0) } }
  }

  /// Maps an existing table or view as a source, which is then signed in place. For an operator: it takes the rights of the
  /// owner of the schema, and the right to read the relation.
  ///
  /// `relation`, `idColumn` and `payloadColumn` are names as SQL writes them, quoted where they need it. The id column must
  /// be a `bigint`, the payload column a `bytea`, `text` or `varchar`. The coordinator's role must be allowed to read them.
  ///
  /// In a table, ids must have a unique index of their own that covers all rows, and neither column may allow NULL. A view
  /// promises nothing: its rows are read once, and no id may be NULL or there twice, and no payload NULL. What comes later is
  /// its owner's affair: a record without a payload fails alone, and a batch in which an id comes twice is not stored.
  ///
  /// Ids should only grow: a row that appears later among ids that were planned is not part of the job, and makes the batch
  /// around it fail, until a retry counts its rows anew. Rows may change or vanish; a signature then says what was signed.
  ///
  /// Throws `notFound` when there is no such table or column, `wrongState` when one is not as it must be or may not be read,
  /// `conflict` when there is another source of that name. To add the same again is no error.
  public func addSource(
    named name: String, relation: String, idColumn: String, payloadColumn: String
  ) async throws(StorageError) -> Source {
    guard name.wholeMatch(of: /[a-z][a-z0-9_.-]{0,62}/) != nil else {
      throw StorageError(
        .wrongState,
        "\(String(reflecting: name)) cannot name a source: use up to 63 of a-z, 0-9, _, . and -, beginning with a letter"
      )
    }
    let names: [PostgresValue] = [.text(relation), .text(idColumn), .text(payloadColumn)]
    let (table, problem, isView) = try await query(SourceStatements.inspect, names) { result in
      (
        Source(
          id: SourceID(rawValue: 0), name: name, relation: try result.optionalText(0, 0) ?? "",
          idColumn: try result.optionalText(0, 1) ?? "", payloadColumn: try result.optionalText(0, 2) ?? "",
          payloadType: try result.name(0, 4)),
        try result.optionalText(0, 3), try result.bool(0, 5)
      )
    }
    if table.relation.isEmpty {
      throw StorageError(
        .notFound, "there is no table or view \(relation), or this role may not see it: name it with its schema")
    }
    if let problem { throw StorageError(.wrongState, "\(table.relation): \(problem)") }
    if isView, let problem = try await problemOfRows(table) {
      throw StorageError(.wrongState, "\(table.relation): \(problem)")
    }
    try await run(
      SourceStatements.insert,
      [
        .text(name), .text(table.relation), .text(table.idColumn), .text(table.payloadColumn),
        .text(table.payloadType.rawValue),
      ])
    guard let source = try await source(named: name) else {
      throw StorageError(.corrupt, "source \(name) was stored and is not there")
    }
    guard
      (source.relation, source.idColumn, source.payloadColumn)
        == (table.relation, table.idColumn, table.payloadColumn)
    else {
      throw StorageError(
        .conflict, "there is a source named \(name) already, for \(source.relation): choose another name")
    }
    return source
  }

  /// What is wrong with the rows of a view; nil if nothing is.
  private func problemOfRows(_ view: Source) async throws(StorageError) -> String? {
    try await query(SourceStatements.countRows(SourceSQL(view), payload: view.payloadColumn)) { result in
      let (idless, repeated, empty) = (try result.int64(0, 0), try result.int64(0, 1), try result.int64(0, 2))
      if idless > 0 { return "\(idless) rows have no id in \(view.idColumn): leave them out" }
      if repeated > 0 {
        return "\(repeated) rows have an id that another has too: ids in \(view.idColumn) must be unique"
      }
      if empty > 0 { return "\(empty) rows have no payload in \(view.payloadColumn): leave them out" }
      return nil
    }
  }
}

extension PostgresResult {
  /// Reads `SourceStatements.columns`.
  func source(_ row: Int, from column: Int) throws -> Source {
    Source(
      id: try serialID(row, column), name: try text(row, column + 1), relation: try text(row, column + 2),
      idColumn: try text(row, column + 3), payloadColumn: try text(row, column + 4),
      payloadType: try name(row, column + 5))
  }
}

enum SourceStatements {
  /// Of `chancery.sources s`.
  static let columns = "s.id, s.name, s.relation, s.id_column, s.payload_column, s.payload_type"

  static let named = PostgresStatement(
    "SELECT \(columns) FROM chancery.sources s WHERE s.name = $1::text", isReadOnly: true)

  static let all = PostgresStatement(
    "SELECT \(columns) FROM chancery.sources s ORDER BY s.name COLLATE \"C\"", isReadOnly: true)

  static let insert: PostgresStatement = """
    INSERT INTO chancery.sources (name, relation, id_column, payload_column, payload_type)
    VALUES ($1::text, $2::text, $3::text, $4::text, $5::text) ON CONFLICT (name) DO NOTHING
    """

  /// How many rows of a view have no id, an id that another row has, and no payload.
  static func countRows(_ view: SourceSQL, payload: String) -> PostgresStatement {
    PostgresStatement(
      """
      SELECT count(*) - count(r.\(view.id)), count(r.\(view.id)) - count(DISTINCT r.\(view.id)),
        count(*) - count(r.\(payload))
      FROM \(view.relation) r
      """, isReadOnly: true)
  }

  /// The names of a table or view and its columns as the server quotes them, what is wrong with them, what payloads are, and
  /// whether it is a view.
  static let inspect = PostgresStatement(
    """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(i.attname), quote_ident(p.attname), CASE
      WHEN c.relkind NOT IN ('r', 'p', 'v', 'm') THEN 'is not a table or view'
      WHEN n.nspname IN ('chancery', 'pg_catalog', 'information_schema') THEN 'is not a table of records'
      WHEN i.attname IS NULL THEN 'has no column ' || $2 || ' for ids'
      WHEN i.atttypid <> 'bigint'::regtype THEN 'ids in ' || $2 || ' must be bigint'
      WHEN c.relkind IN ('r', 'p') AND NOT i.attnotnull THEN 'ids in ' || $2 || ' must be NOT NULL'
      WHEN c.relkind IN ('r', 'p') AND NOT EXISTS (
        SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
          AND x.indnkeyatts = 1 AND x.indkey[0] = i.attnum)
        THEN 'ids in ' || $2 || ' need a unique index of their own'
      WHEN p.attname IS NULL THEN 'has no column ' || $3 || ' for payloads'
      WHEN p.atttypid NOT IN ('bytea'::regtype, 'text'::regtype, 'varchar'::regtype)
        THEN 'payloads in ' || $3 || ' must be bytea, text or varchar'
      WHEN c.relkind IN ('r', 'p') AND NOT p.attnotnull THEN 'payloads in ' || $3 || ' must be NOT NULL'
      WHEN r.rolname IS NOT NULL AND NOT (has_schema_privilege(r.rolname, n.oid, 'USAGE')
          AND has_column_privilege(r.rolname, c.oid, i.attnum, 'SELECT')
          AND has_column_privilege(r.rolname, c.oid, p.attnum, 'SELECT'))
        THEN format('run GRANT USAGE ON SCHEMA %I TO chancery_coordinator; GRANT SELECT ON %I.%I TO '
          || 'chancery_coordinator', n.nspname, n.nspname, c.relname)
      END, CASE WHEN p.atttypid = 'bytea'::regtype THEN 'bytea' ELSE 'text' END,
      coalesce(c.relkind IN ('v', 'm'), false)
    FROM (SELECT to_regclass($1::text) AS oid, parse_ident($2::text) AS id, parse_ident($3::text) AS payload) w
    LEFT JOIN pg_class c ON c.oid = w.oid
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute i ON i.attrelid = c.oid AND i.attname = w.id[1] AND i.attnum > 0 AND NOT i.attisdropped
    LEFT JOIN pg_attribute p
      ON p.attrelid = c.oid AND p.attname = w.payload[1] AND p.attnum > 0 AND NOT p.attisdropped
    LEFT JOIN pg_roles r ON r.rolname = 'chancery_coordinator'
    """, isReadOnly: true)
}
