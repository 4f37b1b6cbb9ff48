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

  /// Maps an existing table as a source, which is then signed in place. For an operator: it takes the rights of the owner
  /// of the schema.
  ///
  /// `relation`, `idColumn` and `payloadColumn` are names as SQL writes them, quoted where they need it. The id column must
  /// be a `bigint` that is never null, with a unique index of its own that covers all rows; the payload column a `bytea`
  /// that is never null. The coordinator's role must be allowed to read them.
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
    let (table, problem) = try await query(SourceStatements.inspect, names) { result in
      (
        Source(
          id: SourceID(rawValue: 0), name: name, relation: try result.optionalText(0, 0) ?? "",
          idColumn: try result.optionalText(0, 1) ?? "", payloadColumn: try result.optionalText(0, 2) ?? ""),
        try result.optionalText(0, 3)
      )
    }
    if table.relation.isEmpty {
      throw StorageError(
        .notFound, "there is no table \(relation), or this role may not see it: name it with its schema")
    }
    if let problem { throw StorageError(.wrongState, "\(table.relation): \(problem)") }
    try await run(
      SourceStatements.insert,
      [.text(name), .text(table.relation), .text(table.idColumn), .text(table.payloadColumn)])
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
}

extension PostgresResult {
  /// Reads `SourceStatements.columns`.
  func source(_ row: Int, from column: Int) throws -> Source {
    Source(
      id: try serialID(row, column), name: try text(row, column + 1), relation: try text(row, column + 2),
      idColumn: try text(row, column + 3), payloadColumn: try text(row, column + 4))
  }
}

enum SourceStatements {
  /// Of `chancery.sources s`.
  static let columns = "s.id, s.name, s.relation, s.id_column, s.payload_column"

  static let named = PostgresStatement(
    "SELECT \(columns) FROM chancery.sources s WHERE s.name = $1::text", isReadOnly: true)

  static let all = PostgresStatement(
    "SELECT \(columns) FROM chancery.sources s ORDER BY s.name COLLATE \"C\"", isReadOnly: true)

  static let insert: PostgresStatement = """
    INSERT INTO chancery.sources (name, relation, id_column, payload_column)
    VALUES ($1::text, $2::text, $3::text, $4::text) ON CONFLICT (name) DO NOTHING
    """

  /// The names of a table and its columns as the server quotes them, and what is wrong with them.
  static let inspect = PostgresStatement(
    """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(i.attname), quote_ident(p.attname), CASE
      WHEN c.relkind NOT IN ('r', 'p') THEN 'is not a table'
      WHEN n.nspname IN ('chancery', 'pg_catalog', 'information_schema') THEN 'is not a table of records'
      WHEN i.attname IS NULL THEN 'has no column ' || $2 || ' for ids'
      WHEN i.atttypid <> 'bigint'::regtype THEN 'ids in ' || $2 || ' must be bigint'
      WHEN NOT i.attnotnull THEN 'ids in ' || $2 || ' must be NOT NULL'
      WHEN NOT EXISTS (
        SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
          AND x.indnkeyatts = 1 AND x.indkey[0] = i.attnum)
        THEN 'ids in ' || $2 || ' need a unique index of their own'
      WHEN p.attname IS NULL THEN 'has no column ' || $3 || ' for payloads'
      WHEN p.atttypid <> 'bytea'::regtype THEN 'payloads in ' || $3 || ' must be bytea'
      WHEN NOT p.attnotnull THEN 'payloads in ' || $3 || ' must be NOT NULL'
      WHEN r.rolname IS NOT NULL AND NOT (has_schema_privilege(r.rolname, n.oid, 'USAGE')
          AND has_column_privilege(r.rolname, c.oid, i.attnum, 'SELECT')
          AND has_column_privilege(r.rolname, c.oid, p.attnum, 'SELECT'))
        THEN format('run GRANT USAGE ON SCHEMA %I TO chancery_coordinator; GRANT SELECT ON %I.%I TO '
          || 'chancery_coordinator', n.nspname, n.nspname, c.relname)
      END
    FROM (SELECT to_regclass($1::text) AS oid, parse_ident($2::text) AS id, parse_ident($3::text) AS payload) w
    LEFT JOIN pg_class c ON c.oid = w.oid
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute i ON i.attrelid = c.oid AND i.attname = w.id[1] AND i.attnum > 0 AND NOT i.attisdropped
    LEFT JOIN pg_attribute p
      ON p.attrelid = c.oid AND p.attname = w.payload[1] AND p.attnum > 0 AND NOT p.attisdropped
    LEFT JOIN pg_roles r ON r.rolname = 'chancery_coordinator'
    """, isReadOnly: true)
}
