import Domain
import PostgresDriver
import Storage

// How the columns of results are read as values of the domain. What cannot be is `corrupt`: this program wrote it, or a
// newer one did.
extension PostgresResult {
  func serialID<Entity>(_ row: Int, _ column: Int) throws(PostgresError) -> SerialID<Entity> {
    SerialID(rawValue: try int64(row, column))
  }

  func uniqueID<Entity>(_ row: Int, _ column: Int) throws(PostgresError) -> UniqueID<Entity> {
    UniqueID(try uuid(row, column))
  }

  func optionalUniqueID<Entity>(_ row: Int, _ column: Int) throws(PostgresError) -> UniqueID<Entity>? {
    try optionalUUID(row, column).map { UniqueID($0) }
  }

  func epoch(_ row: Int, _ column: Int) throws(PostgresError) -> Epoch {
    Epoch(rawValue: try int64(row, column))
  }

  func algorithm(_ row: Int, _ column: Int) throws -> SignatureAlgorithm {
    let code = try int64(row, column)
    return try known(UInt8(exactly: code).flatMap { SignatureAlgorithm(storageCode: $0) }, row, column, "\(code)")
  }

  func form(_ row: Int, _ column: Int) throws -> SignatureForm {
    let code = try int64(row, column)
    return try known(UInt8(exactly: code).flatMap { SignatureForm(storageCode: $0) }, row, column, "\(code)")
  }

  func time(_ row: Int, _ column: Int) throws -> Timestamp {
    try known(try optionalTime(row, column), row, column, "infinite")
  }

  func optionalTime(_ row: Int, _ column: Int) throws(PostgresError) -> Timestamp? {
    try optionalTimestamp(row, column)?.unixMicroseconds.map { Timestamp(rawValue: $0) }
  }

  func name<Value: RawRepresentable<String>>(_ row: Int, _ column: Int) throws -> Value {
    let text = try text(row, column)
    return try known(Value(rawValue: text), row, column, text)
  }

  /// Reads the headers of a trace, in this column and the next.
  func jobTrace(_ row: Int, from column: Int) throws(PostgresError) -> JobTrace? {
    guard let parent = try optionalText(row, column) else { return nil }
    return JobTrace(parent: parent, state: try optionalText(row, column + 1))
  }

  func number(_ row: Int, _ column: Int) throws(PostgresError) -> Int { Int(try int64(row, column)) }

  /// All rows, each read by `read`.
  func map<T>(_ read: (Int) throws -> T) rethrows -> [T] {
    try (0..<rowCount).map(read)
  }

  func known<Value>(_ value: Value?, _ row: Int, _ column: Int, _ found: String) throws(StorageError) -> Value {
    guard let value else {
      throw StorageError(
        .corrupt, "column \(columnName(column)) of row \(row) is \(found), which this version does not know: upgrade it"
      )
    }
    return value
  }
}
