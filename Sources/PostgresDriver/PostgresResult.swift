internal import CPostgres

/// The rows that a statement returned, in binary form, and how many it changed.
///
/// The rows stay in the memory of libpq: reading a cell copies nothing but what is asked for. A row or column that does
/// not exist is the caller's bug and traps. Columns are best named by their position in the statement.
public final class PostgresResult: @unchecked Sendable {
  // A PGresult never changes after libpq has handed it over, and libpq allows reading it from any thread ("Behavior in
  // Threaded Programs" in its manual), so that sharing it is safe. It is freed once, in deinit.
  private let result: OpaquePointer

  /// How many rows there are.
  public let rowCount: Int
  /// How many columns each row has.
  public let columnCount: Int

  init(taking result: OpaquePointer) {
    self.result = result
    rowCount = Int(PQntuples(result))
    columnCount = Int(PQnfields(result))
  }

  deinit {
    PQclear(result)
  }

  /// How many rows were inserted, updated, deleted, selected or copied; 0 for other statements.
  public var affectedRows: Int {
    Int(String(cString: PQcmdTuples(result))) ?? 0
  }

  /// What the server says it has done, such as `INSERT 0 5` or `ROLLBACK`.
  public var commandTag: String {
    String(cString: PQcmdStatus(result))
  }

  /// The name of a column.
  public func columnName(_ column: Int) -> String {
    precondition(column >= 0 && column < columnCount, "no column \(column) among \(columnCount)")
    return PQfname(result, Int32(column)).map { String(cString: $0) } ?? ""
  }

  /// The position of the first column of that name, or nil.
  public func column(named name: String) -> Int? {
    (0..<columnCount).first { columnName($0) == name }
  }

  /// The number of bytes that the rows take in memory, with libpq's own bookkeeping.
  public var memoryBytes: Int { Int(PQresultMemorySize(result)) }

  /// Whether the cell is NULL.
  public func isNull(row: Int, column: Int) -> Bool {
    check(row, column)
    return PQgetisnull(result, Int32(row), Int32(column)) == 1
  }

  /// Lends the bytes of a cell, as the server sent them; nil if the cell is NULL.
  ///
  /// For `bytea`, text and uuid they are the value itself; other types are in their binary form.
  public func withBytes<R: ~Copyable, E: Error>(
    row: Int, column: Int, _ body: (Span<UInt8>) throws(E) -> R
  ) throws(E) -> R? {
    guard let cell = cell(row, column) else { return nil }
    return try body(cell.assumingMemoryBound(to: UInt8.self).span)
  }

  /// The bytes of a cell; nil if it is NULL. Valid while this object lives.
  func cell(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer? {
    check(row, column)
    let (row, column) = (Int32(row), Int32(column))
    let length = PQgetlength(result, row, column)
    if length == 0, PQgetisnull(result, row, column) == 1 { return nil }
    return UnsafeRawBufferPointer(start: PQgetvalue(result, row, column), count: Int(length))
  }

  func type(_ column: Int) -> PostgresType {
    // Checked here and not by libpq, which would report it to a session that may no longer exist.
    precondition(column >= 0 && column < columnCount, "no column \(column) among \(columnCount)")
    return PostgresType(rawValue: PQftype(result, Int32(column)))
  }

  private func check(_ row: Int, _ column: Int) {
    precondition(row >= 0 && row < rowCount, "no row \(row) among \(rowCount)")
    precondition(column >= 0 && column < columnCount, "no column \(column) among \(columnCount)")
  }
}

extension UnsafeRawBufferPointer {
  /// The integer in network byte order at an offset.
  @inline(__always)
  func bigEndian<T: FixedWidthInteger>(at offset: Int = 0, as type: T.Type = T.self) -> T {
    T(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}
