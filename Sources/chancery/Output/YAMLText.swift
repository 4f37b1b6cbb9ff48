import DynamicMessages

/// YAML as the commands print it: YAML 1.2, which readers of 1.1 take for the same.
enum YAMLText {
  /// One document, keys sorted, a line end at the end.
  static func document(_ value: JSONValue) -> String {
    scalar(value).map { $0 + "\n" } ?? block(value, indent: 0)
  }

  /// A list or object that is not empty, as lines.
  private static func block(_ value: JSONValue, indent: Int) -> String {
    let margin = String(repeating: " ", count: indent)
    switch value {
    case .array(let list):
      return list.map { item in
        if let scalar = scalar(item) { return "\(margin)- \(scalar)\n" }
        // The first line of the item stands behind its dash.
        return margin + "- " + block(item, indent: indent + 2).dropFirst(indent + 2)
      }.joined()
    case .object(let object):
      return object.sorted { $0.key < $1.key }.map { key, value in
        let name = margin + text(key) + ":"
        if let scalar = scalar(value) { return "\(name) \(scalar)\n" }
        return "\(name)\n" + block(value, indent: indent + 2)
      }.joined()
    default: return ""
    }
  }

  /// What fits behind a key; nil for what takes lines.
  private static func scalar(_ value: JSONValue) -> String? {
    switch value {
    case .null: "null"
    case .bool(let bool): bool ? "true" : "false"
    case .integer(let integer): String(integer)
    case .unsigned(let unsigned): String(unsigned)
    case .number(let number): self.number(number)
    case .string(let text): self.text(text)
    case .array(let list): list.isEmpty ? "[]" : nil
    case .object(let object): object.isEmpty ? "{}" : nil
    }
  }

  /// Without a point, readers of YAML 1.1 take a number with an exponent for a text.
  private static func number(_ number: Double) -> String {
    let text = "\(number)"
    guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
    return text[..<exponent] + ".0" + text[exponent...]
  }

  /// Plain only if nobody can take it for anything else; else quoted, as in JSON, which YAML includes.
  private static func text(_ text: String) -> String {
    let plain = /[A-Za-z_][A-Za-z0-9_.\/+-]*( [A-Za-z0-9_.\/+-]+)*/
    let isReserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased())
    guard text.wholeMatch(of: plain) == nil || isReserved else { return text }
    return JSONText.line(text).dropLast().unicodeScalars.reduce(into: "") { quoted, scalar in
      // YAML takes these for the ends of lines, JSON does not.
      switch scalar.value {
      case 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
  }
}
