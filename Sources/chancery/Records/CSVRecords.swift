import FoundationEssentials
import Schema

/// Records as rows of CSV under a line of headings.
struct CSVRecords: RecordInput {
  /// Which columns make a record.
  struct Columns {
    /// The column of external ids; nil is `external_id` if there is one.
    var id: String?
    /// The column of payloads; nil: the payload is the row itself, byte for byte, without its line end.
    var payload: String?
    /// Whether the column of payloads holds base64.
    var isBase64 = false
  }

  /// What a column of external ids is called where nothing names one.
  static let standardID = "external_id"

  private var rows: CSVReader
  private let headings: [String]
  private let id: Int?
  private let payload: Int?
  private let isBase64: Bool

  /// Reads the headings. Throws `missing_column` when a column is not there, or there twice.
  init(path: String, _ columns: Columns) throws {
    rows = try CSVReader(path: path)
    guard let first = try rows.next() else {
      throw CommandFailure(
        code: "malformed_csv", message: "\(path) is empty", hint: "the first line of CSV names the columns")
    }
    headings = first.fields.map { String(decoding: $0, as: UTF8.self) }
    let hasStandardID = headings.contains(Self.standardID)
    id = try (columns.id ?? (hasStandardID ? Self.standardID : nil)).map { [headings] in
      try Self.place(of: $0, in: headings)
    }
    payload = try columns.payload.map { [headings] in try Self.place(of: $0, in: headings) }
    isBase64 = columns.isBase64
  }

  /// Whether records have names, so that putting them again changes nothing.
  var hasExternalIDs: Bool { id != nil }

  mutating func next() throws -> ChanceryV1.NewRecord? {
    guard let row = try rows.next() else { return nil }
    guard row.fields.count == headings.count else {
      throw CommandFailure(
        code: "malformed_csv",
        message: "line \(row.line) has \(row.fields.count) fields, the first line has \(headings.count)",
        hint: "put quotes around fields with commas")
    }
    let name = try id.map { try text(row.fields[$0], column: $0, line: row.line) } ?? ""
    return try .init(payload: try bytes(of: row), externalID: name, at: "line \(row.line)")
  }

  private func bytes(of row: CSVRow) throws -> [UInt8] {
    guard let payload else { return row.bytes }
    let field = row.fields[payload]
    guard isBase64 else { return field }
    guard let data = Data(base64Encoded: Data(field)) else {
      throw CommandFailure(
        code: "malformed_record", message: "line \(row.line): \(headings[payload]) is not base64",
        hint: "leave --base64 out where payloads are text")
    }
    return [UInt8](data)
  }

  private func text(_ field: [UInt8], column: Int, line: Int) throws -> String {
    guard let text = String(validating: field, as: UTF8.self) else {
      throw CommandFailure(
        code: "malformed_record", message: "line \(line): \(headings[column]) is not UTF-8, as an external id must be")
    }
    return text
  }

  private static func place(of column: String, in headings: [String]) throws -> Int {
    let places = headings.indices.filter { headings[$0] == column }
    guard let place = places.first, places.count == 1 else {
      throw CommandFailure(
        code: "missing_column",
        message:
          "there \(places.isEmpty ? "is no column" : "are \(places.count) columns") named '\(column)' in the first line",
        hint: "the columns are \(headings.map { "'\($0.prefix(64))'" }.prefix(32).joined(separator: ", "))")
    }
    return place
  }
}
