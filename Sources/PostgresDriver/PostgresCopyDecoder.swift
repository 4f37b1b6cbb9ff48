/// Reads the data of `COPY … TO STDOUT (FORMAT binary)`.
///
/// Give it the chunks of ``PostgresConnection/copyOut(_:chunkBytes:deadline:_:)`` in their order; they hold whole rows.
public struct PostgresCopyDecoder {
  private var hasHeader = false
  /// Whether the mark that ends the data has been seen.
  public private(set) var isAtEnd = false

  /// A decoder that expects the beginning of the data.
  public init() {}

  /// Calls `body` for each row of a chunk.
  ///
  /// - Throws: what `body` throws; `protocolViolation` for data that is not of this format or cut off.
  public mutating func decode(
    _ chunk: [UInt8], _ body: (borrowing PostgresCopyRow) throws(PostgresError) -> Void
  ) throws(PostgresError) {
    var problem: PostgresError?
    chunk.withUnsafeBytes { bytes in
      do throws(PostgresError) {
        try decode(bytes, body)
      } catch {
        problem = error
      }
    }
    if let problem { throw problem }
  }

  private mutating func decode(
    _ bytes: UnsafeRawBufferPointer, _ body: (borrowing PostgresCopyRow) throws(PostgresError) -> Void
  ) throws(PostgresError) {
    var offset = 0
    if !hasHeader && !bytes.isEmpty {
      let size = PostgresCopyEncoder.header.count
      guard bytes.count >= size, bytes.prefix(11).elementsEqual(PostgresCopyEncoder.header.prefix(11)) else {
        throw malformed("it does not begin with the signature: use (FORMAT binary)")
      }
      let extensionSize = Int(bytes.bigEndian(at: 15, as: Int32.self))
      guard extensionSize >= 0, bytes.count >= size + extensionSize else { throw malformed("the header is cut off") }
      offset = size + extensionSize
      hasHeader = true
    }
    while offset < bytes.count {
      guard !isAtEnd, offset + 2 <= bytes.count else { throw malformed("there is data after its end") }
      let columns = Int(bytes.bigEndian(at: offset, as: Int16.self))
      offset += 2
      if columns == -1 {
        isAtEnd = true
        continue
      }
      guard columns >= 0 else { throw malformed("a row has \(columns) columns") }
      let start = offset
      for _ in 0..<columns {
        guard offset + 4 <= bytes.count else { throw malformed("a row is cut off") }
        offset += 4 + max(0, Int(bytes.bigEndian(at: offset, as: Int32.self)))
        guard offset <= bytes.count else { throw malformed("a field is cut off") }
      }
      try body(PostgresCopyRow(bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), columns: columns))
    }
  }

  private func malformed(_ reason: String) -> PostgresError {
    PostgresError(.protocolViolation, "the data of COPY is malformed: \(reason)")
  }
}

/// A row of a binary COPY, valid while it is lent. The format does not name types: the reader must know them.
public struct PostgresCopyRow: ~Copyable {
  /// The fields, each with its length before it; checked to be whole. Points into the chunk that is being decoded.
  private let bytes: UnsafeRawBufferPointer
  /// How many fields the row has.
  public let columns: Int

  fileprivate init(bytes: UnsafeRawBufferPointer, columns: Int) {
    self.bytes = bytes
    self.columns = columns
  }

  /// Lends the bytes of a field, or nil for NULL.
  public func withBytes<R>(_ column: Int, _ body: (Span<UInt8>) throws(PostgresError) -> R) throws(PostgresError) -> R?
  {
    guard let field = field(column) else { return nil }
    return try body(field.assumingMemoryBound(to: UInt8.self).span)
  }

  /// Whether the field is NULL.
  public func isNull(_ column: Int) -> Bool { field(column) == nil }

  /// A `bigint`.
  public func int64(_ column: Int) throws(PostgresError) -> Int64 {
    try fixed(column, 8, "bigint").bigEndian()
  }

  /// A `bytea`, copied.
  public func bytes(_ column: Int) throws(PostgresError) -> [UInt8] {
    [UInt8](try present(column, "bytea"))
  }

  /// A `text`.
  public func text(_ column: Int) throws(PostgresError) -> String {
    String(decoding: try present(column, "text"), as: UTF8.self)
  }

  /// A `uuid`.
  public func uuid(_ column: Int) throws(PostgresError) -> PostgresUUID {
    let field = try fixed(column, 16, "uuid")
    return PostgresUUID(high: field.bigEndian(), low: field.bigEndian(at: 8))
  }

  /// A `timestamptz`.
  public func timestamp(_ column: Int) throws(PostgresError) -> PostgresTimestamp {
    PostgresTimestamp(microsecondsSince2000: try fixed(column, 8, "timestamptz").bigEndian())
  }

  private func field(_ column: Int) -> UnsafeRawBufferPointer? {
    precondition(column >= 0 && column < columns, "no column \(column) among \(columns)")
    var offset = 0
    for _ in 0..<column { offset += 4 + max(0, Int(bytes.bigEndian(at: offset, as: Int32.self))) }
    let length = Int(bytes.bigEndian(at: offset, as: Int32.self))
    return length < 0 ? nil : UnsafeRawBufferPointer(rebasing: bytes[(offset + 4)..<(offset + 4 + length)])
  }

  private func present(_ column: Int, _ wanted: String) throws(PostgresError) -> UnsafeRawBufferPointer {
    guard let field = field(column) else {
      throw PostgresError(.decoding, "column \(column) of a COPY is NULL and was read as \(wanted)")
    }
    return field
  }

  private func fixed(_ column: Int, _ size: Int, _ wanted: String) throws(PostgresError) -> UnsafeRawBufferPointer {
    let field = try present(column, wanted)
    guard field.count == size else {
      throw PostgresError(.decoding, "column \(column) of a COPY has \(field.count) bytes and was read as \(wanted)")
    }
    return field
  }
}
