/// Builds the data of `COPY … FROM STDIN (FORMAT binary)` ("File Formats" of COPY in PostgreSQL's manual).
///
/// Begin each row with ``beginRow()``, append its fields in the order of the columns and in exactly their types, and take
/// the bytes whenever ``byteCount`` is large enough to be sent:
///
/// ```swift
/// try await connection.copyIn("COPY t (id, payload) FROM STDIN (FORMAT binary)") { writer in
///   var encoder = PostgresCopyEncoder(columns: 2)
///   for record in records {
///     encoder.beginRow()
///     encoder.append(record.id)
///     encoder.append(record.payload)
///     if encoder.byteCount >= 256 << 10 { try await writer.write(encoder.take()) }
///   }
///   try await writer.write(encoder.finish())
/// }
/// ```
public struct PostgresCopyEncoder {
  /// The data that begins every binary COPY: signature, flags, length of the extension.
  static let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00] + [0, 0, 0, 0] + [0, 0, 0, 0]

  private let columns: Int
  private var bytes: [UInt8]
  /// How many fields the present row still lacks.
  private var missing = 0

  /// An encoder for rows of so many columns.
  public init(columns: Int) {
    precondition(columns > 0 && columns <= 1600, "a table has 1 to 1600 columns")
    self.columns = columns
    bytes = Self.header
  }

  /// How many bytes wait to be taken.
  public var byteCount: Int { bytes.count }

  /// Begins a row. The row before must be complete.
  public mutating func beginRow() {
    precondition(missing == 0, "the row before lacks \(missing) of \(columns) fields")
    missing = columns
    appendInteger(Int16(truncatingIfNeeded: columns))
  }

  /// NULL.
  public mutating func appendNull() {
    beginField(size: -1)
  }

  /// A `bigint`.
  public mutating func append(_ value: Int64) {
    beginField(size: 8)
    appendInteger(value)
  }

  /// An `integer`.
  public mutating func append(_ value: Int32) {
    beginField(size: 4)
    appendInteger(value)
  }

  /// A `smallint`.
  public mutating func append(_ value: Int16) {
    beginField(size: 2)
    appendInteger(value)
  }

  /// A `boolean`.
  public mutating func append(_ value: Bool) {
    beginField(size: 1)
    bytes.append(value ? 1 : 0)
  }

  /// A `double precision`.
  public mutating func append(_ value: Double) {
    beginField(size: 8)
    appendInteger(value.bitPattern)
  }

  /// A `bytea`.
  public mutating func append(_ value: [UInt8]) {
    beginField(size: value.count)
    bytes.append(contentsOf: value)
  }

  /// A `bytea` that is part of a larger buffer.
  public mutating func append(_ value: Span<UInt8>) {
    beginField(size: value.count)
    value.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
  }

  /// A `text`. The server refuses the COPY if it holds a NUL character.
  public mutating func append(_ value: String) {
    beginField(size: value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }

  /// A `uuid`.
  public mutating func append(_ value: PostgresUUID) {
    beginField(size: 16)
    appendInteger(value.high)
    appendInteger(value.low)
  }

  /// A `timestamptz`.
  public mutating func append(_ value: PostgresTimestamp) {
    beginField(size: 8)
    appendInteger(value.microsecondsSince2000)
  }

  /// Hands over what has been built. A row may go on in the next piece.
  public mutating func take() -> [UInt8] {
    var piece: [UInt8] = []
    // The next piece will be about as large.
    piece.reserveCapacity(min(bytes.count, 1 << 20))
    swap(&piece, &bytes)
    return piece
  }

  /// Hands over the last piece, with the mark that ends the data. The last row must be complete.
  public mutating func finish() -> [UInt8] {
    precondition(missing == 0, "the last row lacks \(missing) of \(columns) fields")
    appendInteger(Int16(-1))
    return take()
  }

  private mutating func beginField(size: Int) {
    precondition(missing > 0, "the row has \(columns) fields already, or none was begun")
    precondition(size <= 1 << 30, "a field of \(size) bytes exceeds 1 GiB")
    missing -= 1
    appendInteger(Int32(truncatingIfNeeded: size))
  }

  private mutating func appendInteger(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }
}
