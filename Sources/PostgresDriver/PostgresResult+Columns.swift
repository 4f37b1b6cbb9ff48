// Whole columns and arrays. All throw PostgresError with the code `decoding` on NULL and on other types.
extension PostgresResult {
  /// All values of an integer column, in the order of the rows.
  public func int64Column(_ column: Int) throws(PostgresError) -> [Int64] {
    var values: [Int64] = []
    values.reserveCapacity(rowCount)
    let isBigint = rowCount > 0 && type(column) == .int8
    for row in 0..<rowCount {
      // The usual case without asking for the type of each cell.
      if isBigint, let cell = cell(row, column), cell.count == 8 {
        values.append(cell.bigEndian())
      } else {
        values.append(try int64(row, column))
      }
    }
    return values
  }

  /// All values of a `bytea` column in one buffer, after each other, and the size of each.
  ///
  /// The form fits ``PostgresValue/byteaArray(concatenated:sizes:)``. Two buffers are allocated, whatever the number of
  /// rows.
  public func bytesColumn(_ column: Int) throws(PostgresError) -> (concatenated: [UInt8], sizes: [UInt32]) {
    var sizes: [UInt32] = []
    sizes.reserveCapacity(rowCount)
    var total = 0
    if rowCount > 0, type(column) != .bytea { throw mismatch(0, column, wanted: PostgresType.bytea.description) }
    for row in 0..<rowCount {
      let size = try present(cell(row, column), row, column).count
      sizes.append(UInt32(truncatingIfNeeded: size))
      total += size
    }
    let bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
      let target = UnsafeMutableRawBufferPointer(buffer)
      for row in 0..<rowCount {
        guard let cell = cell(row, column) else { continue }
        UnsafeMutableRawBufferPointer(rebasing: target[count..<count + cell.count]).copyMemory(from: cell)
        count += cell.count
      }
    }
    return (bytes, sizes)
  }

  /// A `bigint[]`.
  public func int64Array(_ row: Int, _ column: Int) throws(PostgresError) -> [Int64] {
    try array(row, column, .int8Array, size: 8) { $0.bigEndian() }
  }

  /// An `integer[]`.
  public func int32Array(_ row: Int, _ column: Int) throws(PostgresError) -> [Int32] {
    try array(row, column, .int4Array, size: 4) { $0.bigEndian() }
  }

  /// A `boolean[]`.
  public func boolArray(_ row: Int, _ column: Int) throws(PostgresError) -> [Bool] {
    try array(row, column, .boolArray, size: 1) { $0[0] != 0 }
  }

  /// A `uuid[]`.
  public func uuidArray(_ row: Int, _ column: Int) throws(PostgresError) -> [PostgresUUID] {
    try array(row, column, .uuidArray, size: 16) { PostgresUUID(high: $0.bigEndian(), low: $0.bigEndian(at: 8)) }
  }

  /// A `bytea[]`.
  public func bytesArray(_ row: Int, _ column: Int) throws(PostgresError) -> [[UInt8]] {
    try array(row, column, .byteaArray, size: nil) { [UInt8]($0) }
  }

  /// A `text[]` or `character varying[]`.
  public func textArray(_ row: Int, _ column: Int) throws(PostgresError) -> [String] {
    var texts: [String] = []
    for element in try nullableTextArray(row, column) { texts.append(try present(element, row, column)) }
    return texts
  }

  /// A `text[]` or `character varying[]` that may hold NULLs.
  public func nullableTextArray(_ row: Int, _ column: Int) throws(PostgresError) -> [String?] {
    let wanted = type(column) == .varcharArray ? PostgresType.varcharArray : .textArray
    return try elements(row, column, wanted, size: nil) { String(decoding: $0, as: UTF8.self) }
  }
}

extension PostgresResult {
  private func array<T>(
    _ row: Int, _ column: Int, _ wanted: PostgresType, size: Int?, _ decode: (UnsafeRawBufferPointer) -> T
  ) throws(PostgresError) -> [T] {
    var values: [T] = []
    let elements = try elements(row, column, wanted, size: size, decode)
    values.reserveCapacity(elements.count)
    for element in elements { values.append(try present(element, row, column)) }
    return values
  }

  /// The elements of a one-dimensional array in binary form; see ``ParameterBuffer/appendArrayHeader(count:element:hasNulls:)``.
  private func elements<T>(
    _ row: Int, _ column: Int, _ wanted: PostgresType, size: Int?, _ decode: (UnsafeRawBufferPointer) -> T
  ) throws(PostgresError) -> [T?] {
    let cell = try present(cell(row, column), row, column)
    guard type(column) == wanted, cell.count >= 12 else { throw mismatch(row, column, wanted: wanted.description) }
    let dimensions: Int32 = cell.bigEndian()
    if dimensions == 0 { return [] }
    guard dimensions == 1, cell.count >= 20 else {
      throw mismatch(row, column, wanted: "an array of one dimension, not \(dimensions)")
    }
    let count = Int(cell.bigEndian(at: 12, as: Int32.self))
    // Every element takes four bytes at least: a count beyond that is not from the server.
    guard count >= 0, count <= (cell.count - 20) / 4 else { throw malformed(row, column) }
    var values: [T?] = []
    values.reserveCapacity(count)
    var offset = 20
    for _ in 0..<count {
      guard offset + 4 <= cell.count else { throw malformed(row, column) }
      let length = Int(cell.bigEndian(at: offset, as: Int32.self))
      offset += 4
      if length < 0 {
        values.append(nil)
        continue
      }
      guard offset + length <= cell.count, size == nil || size == length else { throw malformed(row, column) }
      values.append(decode(UnsafeRawBufferPointer(rebasing: cell[offset..<offset + length])))
      offset += length
    }
    return values
  }

  private func malformed(_ row: Int, _ column: Int) -> PostgresError {
    PostgresError(.protocolViolation, "the array in column \(columnName(column)) of row \(row) is malformed")
  }
}
