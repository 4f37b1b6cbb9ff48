/// The prepared statements of a session, of which the least recently used are dropped.
struct StatementCache {
  private struct Entry {
    let sql: String
    let parameterTypes: [PostgresType]
    var lastUse: UInt64
    var isStale = false
  }

  let limit: Int
  private var entries: [UInt64: Entry] = [:]
  private var uses: UInt64 = 0

  init(limit: Int) {
    precondition(limit > 0, "a session needs room for a prepared statement")
    self.limit = limit
  }

  /// The types of the parameters, if the session knows the statement and can still run it.
  mutating func parameterTypes(of statement: PostgresStatement) -> [PostgresType]? {
    uses += 1
    guard let index = entries.index(forKey: statement.key), !entries.values[index].isStale,
      entries.values[index].sql == statement.sql
    else { return nil }
    entries.values[index].lastUse = uses
    return entries.values[index].parameterTypes
  }

  mutating func insert(_ statement: PostgresStatement, parameterTypes: [PostgresType]) {
    uses += 1
    entries[statement.key] = Entry(sql: statement.sql, parameterTypes: parameterTypes, lastUse: uses)
  }

  mutating func remove(key: UInt64) {
    entries.removeValue(forKey: key)
  }

  /// What the server must forget before `statement` is prepared: one of the same hash, or the oldest if the cache is full.
  func evicted(for statement: PostgresStatement) -> UInt64? {
    if entries[statement.key] != nil { return statement.key }
    return entries.count < limit ? nil : entries.min { $0.value.lastUse < $1.value.lastUse }?.key
  }

  /// Learns from an error of a statement whether it has to be prepared anew. True if it was known and has to.
  ///
  /// Either the server has forgotten it (somebody said DISCARD ALL), or a table was changed so that it would return other
  /// types than before ("cached plan must not change result type", 0A000). In both cases it has not run.
  mutating func refresh(_ statement: PostgresStatement, after error: PostgresError) -> Bool {
    guard let index = entries.index(forKey: statement.key) else { return false }
    switch error.sqlState {
    case .undefinedPreparedStatement?: entries.remove(at: index)
    case .featureNotSupported?: entries.values[index].isStale = true
    default: return false
    }
    return true
  }
}
