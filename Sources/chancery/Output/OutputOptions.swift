import ArgumentParser
import DynamicMessages
import Glibc

/// How a command prints what it read.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  /// Columns for people.
  case table
  /// The same with nothing cut off, and with columns of lesser interest.
  case wide
  /// One JSON document (RFC 8259).
  case json
  /// One JSON object a line.
  case jsonl
  /// One YAML 1.2 document.
  case yaml
  /// A line of names and a line for each object (RFC 4180), numbers as in JSON.
  case csv
  /// One name a line, such as `key/17`.
  case name

  /// Whether people read it.
  var isForPeople: Bool { self == .table || self == .wide }
}

/// The options of every command that reads.
struct OutputOptions: ParsableArguments {
  @Option(
    name: [.customShort("o"), .long],
    help: "How to print: \(OutputFormat.allValueStrings.joined(separator: ", ")).")
  var output = OutputFormat.table

  @OptionGroup var tables: TableOptions
}

/// How tables look.
struct TableOptions: ParsableArguments {
  @Flag(help: "Leave the headings of a table out.") var noHeaders = false

  @Option(help: "Whether to colour: auto, always or never; auto heeds NO_COLOR and TERM.") var color = ColorMode.auto
}

/// Something that is printed as a line of a table, or as a JSON object.
protocol TableRow: Encodable {
  /// The headings.
  static var columns: [TableColumn] { get }
  /// One text for each column, whole: tables cut what is too wide.
  var cells: [String] { get }
  /// What scripts call it: its kind and its name, such as `key/17`.
  var resourceName: String { get }
}

extension OutputOptions {
  /// Prints rows.
  func print<Row: TableRow>(_ rows: [Row]) {
    switch output {
    case .table, .wide: StandardOutput.write(table.text(rows))
    case .json: StandardOutput.write(JSONText.document(rows))
    case .jsonl: for row in rows { StandardOutput.write(JSONText.line(row)) }
    case .yaml: StandardOutput.write(YAMLText.document(JSONValue(encoding: rows)))
    case .csv: StandardOutput.write(CSVText.lines(JSONValue(encoding: rows)))
    case .name: StandardOutput.write(rows.map { $0.resourceName + "\n" }.joined())
    }
  }

  /// Prints one thing: in a table its fields stand one below the other.
  func print<Row: TableRow>(_ row: Row) { print(row, name: row.resourceName, text: table.text(row)) }

  /// Prints something of which people see a text.
  func print(_ value: some Encodable, name: String, text: @autoclosure () -> String) {
    switch output {
    case .table, .wide: StandardOutput.write(text())
    case .json: StandardOutput.write(JSONText.document(value))
    case .jsonl: StandardOutput.write(JSONText.line(value))
    case .yaml: StandardOutput.write(YAMLText.document(JSONValue(encoding: value)))
    case .csv: StandardOutput.write(CSVText.lines(.array([JSONValue(encoding: value)])))
    case .name: StandardOutput.write(name + "\n")
    }
  }

  /// How tables are set.
  var table: Table {
    Table(isWide: output == .wide, hasHeadings: !tables.noHeaders, isColored: tables.color.colors(STDOUT_FILENO))
  }
}
