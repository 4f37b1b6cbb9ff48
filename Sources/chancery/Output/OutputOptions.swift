import ArgumentParser
import FoundationEssentials

/// How a command prints what it read.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  /// Columns for people.
  case table
  /// One JSON document.
  case json
}

/// The `-o` option of every command that reads.
struct OutputOptions: ParsableArguments {
  @Option(name: [.customShort("o"), .long], help: "How to print: table or json.")
  var output = OutputFormat.table
}

/// Something that is printed as a line of a table, or as a JSON object.
protocol TableRow: Encodable {
  /// The headings; numbers are set to the right.
  static var columns: [TableColumn] { get }
  /// One text for each column.
  var cells: [String] { get }
}

/// A column of a table.
struct TableColumn {
  var title: String
  var isNumber = false

  init(_ title: String, isNumber: Bool = false) {
    self.title = title
    self.isNumber = isNumber
  }
}

extension OutputOptions {
  /// Prints rows: a table, or a JSON array.
  func print<Row: TableRow>(_ rows: [Row]) {
    switch output {
    case .table: StandardOutput.write(Table.text(rows))
    case .json: StandardOutput.write(JSONText.document(rows))
    }
  }

  /// Prints one thing: its fields one below the other, or a JSON object.
  func print<Row: TableRow>(_ row: Row) {
    switch output {
    case .table:
      let width = Row.columns.map(\.title.count).max() ?? 0
      let lines = zip(Row.columns, row.cells).map { column, cell in
        column.title.padded(to: width) + "  " + cell + "\n"
      }
      StandardOutput.write(lines.joined())
    case .json: StandardOutput.write(JSONText.document(row))
    }
  }
}

/// Columns set with spaces.
enum Table {
  static func text<Row: TableRow>(_ rows: [Row]) -> String {
    let cells = rows.map(\.cells)
    let widths = Row.columns.indices.map { index in
      max(Row.columns[index].title.count, cells.map { $0[index].count }.max() ?? 0)
    }
    func line(_ texts: [String]) -> String {
      let padded = texts.indices.map { index in
        Row.columns[index].isNumber
          ? texts[index].padded(to: widths[index], left: true) : texts[index].padded(to: widths[index])
      }
      var line = padded.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }
    return line(Row.columns.map(\.title)) + cells.map(line).joined()
  }
}

/// JSON as the commands print it.
enum JSONText {
  /// Indented, keys sorted, a line end at the end.
  static func document(_ value: some Encodable) -> String { encode(value, [.prettyPrinted]) }

  /// On one line.
  static func line(_ value: some Encodable) -> String { encode(value, []) }

  private static func encode(_ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, formatting]
    encoder.nonConformingFloatEncodingStrategy = .throw
    encoder.dataEncodingStrategy = .base64
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    } catch {
      preconditionFailure("every printed value can be encoded: \(error)")
    }
  }
}

extension String {
  func padded(to width: Int, left: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(0, width - count))
    return left ? padding + self : self + padding
  }
}
