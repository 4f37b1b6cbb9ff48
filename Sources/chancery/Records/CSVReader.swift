/// A row of CSV.
struct CSVRow {
  /// The line on which it begins, from 1: a quoted field may go on over several.
  var line: Int
  /// Its fields, without the quotes.
  var fields: [[UInt8]]
  /// Its bytes as they stand in the file, without the line end.
  var bytes: [UInt8]
}

/// Reads CSV as RFC 4180 has it, in bounded memory: fields in quotes may hold commas, line ends, and quotes written twice. Lines
/// may end with LF alone. Empty lines are passed over, and so is a byte order mark at the beginning.
struct CSVReader {
  /// The longest row in bytes.
  static let maximumRowBytes = 2 * 1024 * 1024

  /// What the bytes of a field mean.
  private enum State {
    /// Nothing of the field has come.
    case start
    /// It is not in quotes.
    case plain
    /// Within quotes.
    case quoted
    /// After a quote within quotes: it ends the field, or a second one makes it stand for itself.
    case quote
  }

  private let file: InputFile
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtEnd = false
  private var line = 1
  /// The column of the last byte taken, from 1, in bytes.
  private var column = 0

  init(path: String) throws {
    file = try InputFile(path: path)
    while buffer.count < 3, !isAtEnd { try fill() }
    if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  /// The next row; nil at the end. Throws `malformed_csv` or `line_too_long`, with line and column.
  mutating func next() throws -> CSVRow? {
    var row = CSVRow(line: line, fields: [], bytes: [])
    var field: [UInt8] = []
    var state = State.start
    while let byte = try take() {
      if state != .quoted, byte == UInt8(ascii: "\r") {
        guard try peek() == UInt8(ascii: "\n") else { throw malformed("a carriage return without a line feed") }
        continue
      }
      if state != .quoted, byte == UInt8(ascii: "\n") {
        (line, column) = (line + 1, 0)
        if row.fields.isEmpty, state == .start {
          row.line = line
          continue
        }
        row.fields.append(field)
        return row
      }
      row.bytes.append(byte)
      guard row.bytes.count <= Self.maximumRowBytes else {
        throw CommandFailure(
          code: "line_too_long",
          message:
            "the row of \(file.name) that begins on line \(row.line) is longer than \(Self.maximumRowBytes) bytes",
          hint: "is a quote missing that ends a field?")
      }
      switch (state, byte) {
      case (.quoted, UInt8(ascii: "\"")): state = .quote
      case (.quoted, _):
        field.append(byte)
        if byte == UInt8(ascii: "\n") { (line, column) = (line + 1, 0) }
      case (.quote, UInt8(ascii: "\"")):
        field.append(byte)
        state = .quoted
      case (_, UInt8(ascii: ",")):
        row.fields.append(field)
        field = []
        state = .start
      case (.quote, _): throw malformed("a character after the quote that ends a field")
      case (.start, UInt8(ascii: "\"")): state = .quoted
      case (.plain, UInt8(ascii: "\"")): throw malformed("a quote in a field that does not begin with one")
      case (.start, _), (.plain, _):
        field.append(byte)
        state = .plain
      }
    }
    guard state != .quoted else {
      throw malformed("the file ends in a quoted field of the row that begins on line \(row.line)")
    }
    guard !row.fields.isEmpty || state != .start else { return nil }
    row.fields.append(field)
    return row
  }

  private mutating func take() throws -> UInt8? {
    guard try peek() != nil else { return nil }
    defer { position += 1 }
    column += 1
    return buffer[position]
  }

  private mutating func peek() throws -> UInt8? {
    if position == buffer.count {
      if isAtEnd { return nil }
      try fill()
    }
    return position < buffer.count ? buffer[position] : nil
  }

  private mutating func fill() throws {
    let piece = try file.read()
    isAtEnd = piece.isEmpty
    buffer = Array(buffer[position...]) + piece
    position = 0
  }

  private func malformed(_ what: String) -> CommandFailure {
    CommandFailure(
      code: "malformed_csv", message: "\(file.name), line \(line), column \(column): \(what)",
      hint: "put quotes around fields with commas, quotes or line ends, and write a quote within them twice (RFC 4180)")
  }
}
