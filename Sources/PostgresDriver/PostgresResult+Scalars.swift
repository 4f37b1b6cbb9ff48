// Each reader exists twice: `int64(row, column)` throws on NULL, `optionalInt64(row, column)` returns nil for it. Both throw
// PostgresError with the code `decoding` if the column is of another type, naming the column and both types.
extension PostgresResult {
  /// A `smallint`, `integer`, `bigint` or `oid`.
  public func int64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
    try present(optionalInt64(row, column), row, column)
  }

  /// A `smallint`, `integer`, `bigint` or `oid`, or nil for NULL.
  public func optionalInt64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
    guard let cell = cell(row, column) else { return nil }
    switch (type(column), cell.count) {
    case (.int8, 8): return cell.bigEndian(as: Int64.self)
    case (.int4, 4): return Int64(cell.bigEndian(as: Int32.self))
    case (.int2, 2): return Int64(cell.bigEndian(as: Int16.self))
    case (.oid, 4): return Int64(cell.bigEndian(as: UInt32.self))
    default: throw mismatch(row, column, wanted: "an integer")
    }
  }

  /// A `smallint` or `integer`, or a `bigint` in the range of an `Int32`.
  public func int32(_ row: Int, _ column: Int) throws(PostgresError) -> Int32 {
    try present(optionalInt32(row, column), row, column)
  }

  /// A `smallint` or `integer`, or a `bigint` in the range of an `Int32`, or nil for NULL.
  public func optionalInt32(_ row: Int, _ column: Int) throws(PostgresError) -> Int32? {
    try narrow(optionalInt64(row, column), row, column)
  }

  /// A `smallint`, or another integer in the range of an `Int16`.
  public func int16(_ row: Int, _ column: Int) throws(PostgresError) -> Int16 {
    try present(optionalInt16(row, column), row, column)
  }

  /// A `smallint`, or another integer in the range of an `Int16`, or nil for NULL.
  public func optionalInt16(_ row: Int, _ column: Int) throws(PostgresError) -> Int16? {
    try narrow(optionalInt64(row, column), row, column)
  }

  /// A `boolean`.
  public func bool(_ row: Int, _ column: Int) throws(PostgresError) -> Bool {
    try present(optionalBool(row, column), row, column)
  }

  /// A `boolean`, or nil for NULL.
  public func optionalBool(_ row: Int, _ column: Int) throws(PostgresError) -> Bool? {
    try read(row, column, .bool, bytes: 1) { $0[0] != 0 }
  }

  /// A `double precision` or `real`.
  public func double(_ row: Int, _ column: Int) throws(PostgresError) -> Double {
    try present(optionalDouble(row, column), row, column)
  }

  /// A `double precision` or `real`, or nil for NULL.
  public func optionalDouble(_ row: Int, _ column: Int) throws(PostgresError) -> Double? {
    if type(column) == .float4 {
      return try read(row, column, .float4, bytes: 4) { Double(Float(bitPattern: $0.bigEndian())) }
    }
    return try read(row, column, .float8, bytes: 8) { Double(bitPattern: $0.bigEndian()) }
  }

  /// A text of any character type, `json` or `jsonb`, or the label of an enumeration.
  public func text(_ row: Int, _ column: Int) throws(PostgresError) -> String {
    try present(optionalText(row, column), row, column)
  }

  /// A text of any character type, `json` or `jsonb`, or the label of an enumeration; nil for NULL.
  public func optionalText(_ row: Int, _ column: Int) throws(PostgresError) -> String? {
    guard var cell = cell(row, column) else { return nil }
    let type = type(column)
    if type == .jsonb, cell.first == 1 {
      cell = UnsafeRawBufferPointer(rebasing: cell.dropFirst())
    } else if !type.isTextual && type.rawValue < 16384 {
      // From 16384 on there are the types that users create, among them enumerations, whose form is text.
      throw mismatch(row, column, wanted: "a text")
    }
    guard let text = String(validating: cell, as: UTF8.self) else {
      throw mismatch(row, column, wanted: "text in UTF-8")
    }
    return text
  }

  /// A `bytea`, copied. To read without a copy, see ``withBytes(row:column:_:)``.
  public func bytes(_ row: Int, _ column: Int) throws(PostgresError) -> [UInt8] {
    try present(optionalBytes(row, column), row, column)
  }

  /// A `bytea`, copied, or nil for NULL.
  public func optionalBytes(_ row: Int, _ column: Int) throws(PostgresError) -> [UInt8]? {
    try read(row, column, .bytea, bytes: nil) { [UInt8]($0) }
  }

  /// A `uuid`.
  public func uuid(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresUUID {
    try present(optionalUUID(row, column), row, column)
  }

  /// A `uuid`, or nil for NULL.
  public func optionalUUID(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresUUID? {
    try read(row, column, .uuid, bytes: 16) { PostgresUUID(high: $0.bigEndian(), low: $0.bigEndian(at: 8)) }
  }

  /// A `timestamptz`.
  public func timestamp(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresTimestamp {
    try present(optionalTimestamp(row, column), row, column)
  }

  /// A `timestamptz`, or nil for NULL.
  public func optionalTimestamp(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresTimestamp? {
    try read(row, column, .timestamptz, bytes: 8) { PostgresTimestamp(microsecondsSince2000: $0.bigEndian()) }
  }

  /// An `interval`; ``PostgresInterval/duration`` is its length.
  public func interval(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresInterval {
    try present(optionalInterval(row, column), row, column)
  }

  /// An `interval`, or nil for NULL.
  public func optionalInterval(_ row: Int, _ column: Int) throws(PostgresError) -> PostgresInterval? {
    try read(row, column, .interval, bytes: 16) {
      PostgresInterval(
        months: $0.bigEndian(at: 12), days: $0.bigEndian(at: 8), microseconds: $0.bigEndian())
    }
  }
}

extension PostgresResult {
  private func read<T>(
    _ row: Int, _ column: Int, _ wanted: PostgresType, bytes: Int?, _ decode: (UnsafeRawBufferPointer) -> T
  ) throws(PostgresError) -> T? {
    guard let cell = cell(row, column) else { return nil }
    guard type(column) == wanted, bytes.map({ $0 == cell.count }) ?? true else {
      throw mismatch(row, column, wanted: wanted.description)
    }
    return decode(cell)
  }

  private func narrow<T: FixedWidthInteger>(
    _ value: Int64?, _ row: Int, _ column: Int
  ) throws(PostgresError) -> T? {
    guard let value else { return nil }
    guard let narrow = T(exactly: value) else {
      throw mismatch(row, column, wanted: "an integer of \(T.bitWidth) bits, which \(value) is not")
    }
    return narrow
  }

  func present<T>(_ value: T?, _ row: Int, _ column: Int) throws(PostgresError) -> T {
    guard let value else {
      throw PostgresError(
        .decoding, "column \(columnName(column)) of row \(row) is NULL: read it as an optional or exclude NULL in SQL",
        column: columnName(column))
    }
    return value
  }

  func mismatch(_ row: Int, _ column: Int, wanted: String) -> PostgresError {
    PostgresError(
      .decoding,
      "column \(columnName(column)) of row \(row) is of type \(type(column)) and was read as \(wanted): "
        + "read it as another type or cast it in the statement",
      column: columnName(column))
  }
}

extension PostgresError {
  fileprivate init(_ code: Code, _ message: String, column: String) {
    self.init(code: code, message: message, sqlState: nil, column: column)
  }
}
