import DynamicMessages

/// CSV as RFC 4180 has it: lines end with CR LF, fields are quoted where they need it.
enum CSVText {
  /// One line.
  static func line(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\r\n" }

  /// A list of objects: their keys, sorted, then a line for each object. A value that is itself a list or object stands
  /// there as JSON, one that is missing or null is empty.
  static func lines(_ value: JSONValue) -> String {
    guard case .array(let items) = value else { preconditionFailure("CSV is made of a list") }
    let objects = items.map { item in
      guard case .object(let object) = item else { preconditionFailure("CSV is made of objects") }
      return object
    }
    let keys = Set(objects.flatMap(\.keys)).sorted()
    if keys.isEmpty { return "" }
    let rows = objects.map { object in keys.map { object[$0].map(cell) ?? "" }.joined(separator: ",") + "\r\n" }
    return line(keys) + rows.joined()
  }

  private static func cell(_ value: JSONValue) -> String {
    switch value {
    case .null: ""
    // An empty text is not a missing one.
    case .string(let text): text.isEmpty ? "\"\"" : quoted(text)
    case .bool, .integer, .unsigned, .number, .array, .object: quoted(String(JSONText.line(value).dropLast()))
    }
  }

  private static func quoted(_ text: String) -> String {
    guard text.utf8.contains(where: ",\"\r\n".utf8.contains) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}
