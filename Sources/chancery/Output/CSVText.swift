import DynamicMessages

/// CSV as the commands print it (RFC 4180): the keys of the JSON objects, sorted, then a line for each object.
enum CSVText {
  /// The lines of a list of objects. A value that is itself a list or object stands there as JSON, one that is missing or null
  /// is empty.
  static func lines(_ value: JSONValue) -> String {
    guard case .array(let items) = value else { preconditionFailure("CSV is made of a list") }
    let objects = items.map { item in
      guard case .object(let object) = item else { preconditionFailure("CSV is made of objects") }
      return object
    }
    let keys = Set(objects.flatMap(\.keys)).sorted()
    if keys.isEmpty { return "" }
    let rows = objects.map { object in keys.map { object[$0].map(cell) ?? "" } }
    return ([keys.map(quoted)] + rows).map { $0.joined(separator: ",") + "\r\n" }.joined()
  }

  private static func cell(_ value: JSONValue) -> String {
    switch value {
    case .null: ""
    case .string(let text): quoted(text)
    case .bool, .integer, .unsigned, .number, .array, .object: quoted(String(JSONText.line(value).dropLast()))
    }
  }

  private static func quoted(_ text: String) -> String {
    // An empty text is not a missing one.
    guard text.isEmpty || text.utf8.contains(where: ",\"\r\n".utf8.contains) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}
