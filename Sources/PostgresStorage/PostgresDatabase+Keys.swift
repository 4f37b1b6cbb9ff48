public import Domain
import PostgresDriver
public import Storage

extension PostgresDatabase {
  /// See `KeyStore`.
  public func reserveKeyIDs(_ count: Int) async throws(StorageError) -> [KeyID] {
    if count == 0 { return [] }
    return try await query(KeyStatements.reserve, [.count(count)]) { result in
      try result.map { try result.serialID($0, 0) }
    }
  }

  /// See `KeyStore`.
  public func insert(_ keys: [NewKey]) async throws(StorageError) -> [Key] {
    if keys.isEmpty { return [] }
    let ids = keys.map(\.id)
    let parameters: [PostgresValue] = [
      .ids(ids), .int32Array(keys.map { Int32($0.algorithm.storageCode) }), .byteaArray(keys.map(\.publicKey)),
      .textArray(keys.map(\.label)), .byteaArray(keys.map(\.wrappedPrivateKey)),
      .textArray(keys.map(\.keyEncryptionKeyID)),
    ]
    do {
      try await run(KeyStatements.insert, parameters)
    } catch  where error.code == .conflict {
      throw try await conflict(of: keys) ?? error
    }
    let added = try await query(KeyStatements.named, [.ids(ids)]) { result in try result.map(result.key) }
    return ids.compactMap { id in added.first { $0.id == id } }
  }

  /// Which key it was that could not be added.
  private func conflict(of keys: [NewKey]) async throws(StorageError) -> StorageError? {
    var seen: [[UInt8]: KeyID] = [:]
    for key in keys {
      if let twin = seen.updateValue(key.id, forKey: key.publicKey) { return .keyConflict(key.id, with: twin) }
    }
    let parameters: [PostgresValue] = [.ids(keys.map(\.id)), .byteaArray(keys.map(\.publicKey))]
    return try await query(KeyStatements.taken, parameters) { result in
      guard result.rowCount > 0 else { return nil }
      let id: KeyID = try result.serialID(0, 0)
      let taken: KeyID = try result.serialID(0, 1)
      return id == taken ? .keyIDTaken(id) : .keyConflict(id, with: taken)
    }
  }

  /// See `KeyStore`.
  public func key(_ id: KeyID) async throws(StorageError) -> Key? {
    try await query(KeyStatements.named, [.ids([id])]) { result in result.rowCount == 0 ? nil : try result.key(0) }
  }

  /// See `KeyStore`.
  public func keys(
    algorithm: SignatureAlgorithm?, after: KeyID?, limit: Int
  ) async throws(StorageError) -> [Key] {
    let after = PostgresValue.int64(after?.rawValue ?? .min)
    guard let algorithm else {
      return try await query(KeyStatements.page, [after, .count(limit)]) { result in try result.map(result.key) }
    }
    return try await query(KeyStatements.pageOfAlgorithm, [after, .count(limit), .algorithm(algorithm)]) { result in
      try result.map(result.key)
    }
  }

  /// See `KeyStore`.
  public func activeKeyCount(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> Int {
    try await query(KeyStatements.activeCount, [.algorithm(algorithm)]) { try $0.number(0, 0) }
  }

  /// See `KeyStore`.
  public func wrappedPrivateKey(_ id: KeyID) async throws(StorageError) -> [UInt8] {
    let wrapped = try await query(KeyStatements.secret, [.id(id)]) { $0.rowCount == 0 ? nil : try $0.bytes(0, 0) }
    guard let wrapped else { throw .unknownKey(id) }
    return wrapped
  }

  /// See `KeyStore`.
  public func setState(_ id: KeyID, to next: KeyState) async throws(StorageError) -> Key {
    try await transaction { connection, deadline in
      let found = try await connection.query(KeyStatements.lock, [.id(id)], deadline: deadline)
      guard found.rowCount > 0 else { throw StorageError.unknownKey(id) }
      let state: KeyState = try found.name(0, 0)
      if state != next {
        guard state.mayBecome(next) else { throw StorageError.keyState(id, state, next) }
        let statement = next == .disabled ? KeyStatements.disable : KeyStatements.setState
        let parameters: [PostgresValue] = next == .disabled ? [.id(id)] : [.id(id), .text(next.rawValue)]
        _ = try await connection.query(statement, parameters, deadline: deadline)
      }
      return try await connection.query(KeyStatements.named, [.ids([id])], deadline: deadline).key(0)
    }
  }
}

extension PostgresResult {
  /// Reads `KeyStatements.columns`.
  fileprivate func key(_ row: Int) throws -> Key {
    let holder: SignerID? = try optionalUniqueID(row, 6)
    return Key(
      id: try serialID(row, 0), algorithm: try algorithm(row, 1), state: try name(row, 2),
      publicKey: try bytes(row, 3), label: try text(row, 4), epoch: try epoch(row, 5),
      holder: holder.map { "\($0)" }, createdAt: try time(row, 7))
  }
}

enum KeyStatements {
  static let reserve: PostgresStatement =
    "SELECT nextval('chancery.key_ids') FROM generate_series(1, $1::bigint)"

  static let insert: PostgresStatement = """
    WITH new AS MATERIALIZED (
      SELECT * FROM unnest($1::bigint[], $2::int[], $3::bytea[], $4::text[], $5::bytea[], $6::text[])
        n(id, algorithm, public_key, label, wrapped, kek)),
    k AS (
      INSERT INTO chancery.keys (id, algorithm, public_key, label)
      SELECT id, algorithm, public_key, label FROM new ORDER BY id)
    INSERT INTO chancery.key_secrets (key_id, key_encryption_key_id, wrapped_private_key)
    SELECT id, kek, wrapped FROM new
    """

  /// A key whose id or public key is taken, and by which.
  static let taken = PostgresStatement(
    """
    SELECT n.id, k.id FROM unnest($1::bigint[], $2::bytea[]) n(id, public_key)
    JOIN chancery.keys k ON sha256(k.public_key) = sha256(n.public_key) OR k.id = n.id
    ORDER BY n.id LIMIT 1
    """, isReadOnly: true)

  private static let columns = """
    SELECT k.id, k.algorithm, k.state, k.public_key, k.label, k.epoch, x.holder, k.created_at
    FROM chancery.keys k
    LEFT JOIN chancery.key_leases x
      ON x.key_id = k.id AND x.epoch = k.epoch AND x.lease_id = k.lease_id AND k.lease_until >= clock_timestamp()
    """

  static let named = PostgresStatement("\(columns) WHERE k.id = ANY ($1::bigint[])", isReadOnly: true)

  static let page = PostgresStatement(
    "\(columns) WHERE k.id > $1::bigint ORDER BY k.id LIMIT $2::bigint", isReadOnly: true)

  static let pageOfAlgorithm = PostgresStatement(
    "\(columns) WHERE k.algorithm = $3::smallint AND k.id > $1::bigint ORDER BY k.id LIMIT $2::bigint",
    isReadOnly: true)

  static let activeCount = PostgresStatement(
    "SELECT count(*) FROM chancery.keys WHERE algorithm = $1::smallint AND state = 'active'", isReadOnly: true)

  static let secret = PostgresStatement(
    "SELECT wrapped_private_key FROM chancery.key_secrets WHERE key_id = $1::bigint", isReadOnly: true)

  static let lock: PostgresStatement = "SELECT state FROM chancery.keys WHERE id = $1::bigint FOR NO KEY UPDATE"

  /// No cache may grant a key whose state has changed until it has been taken up anew.
  static let setState: PostgresStatement = """
    WITH k AS (
      UPDATE chancery.keys SET state = $2::text, cache_generation = 0 WHERE id = $1::bigint
      RETURNING id, state, epoch)
    INSERT INTO chancery.key_changes (key_id, state, epoch) SELECT id, state, epoch FROM k
    """

  /// The epoch makes whatever is under way with the key stale.
  static let disable: PostgresStatement = """
    WITH k AS (
      UPDATE chancery.keys
      SET state = 'disabled', cache_generation = 0, epoch = epoch + 1, lease_id = NULL, lease_until = '-infinity'
      WHERE id = $1::bigint
      RETURNING id, state, epoch),
    o AS (
      UPDATE chancery.key_leases x SET outcome = 'superseded', ended_at = clock_timestamp() FROM k
      WHERE x.key_id = k.id AND x.epoch = k.epoch - 1 AND x.outcome IS NULL)
    INSERT INTO chancery.key_changes (key_id, state, epoch) SELECT id, state, epoch FROM k
    """
}
