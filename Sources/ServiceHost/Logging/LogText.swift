import Logging

/// The bytes of a line while it is being put together.
struct LogText {
  /// The most bytes of a string; what is beyond is cut off.
  static let valueBytes = 8 * 1024
  /// How deep lists and dictionaries may be nested; what is deeper is left out.
  static let depth = 4

  private(set) var bytes: [UInt8]

  init(_ text: String) { bytes = Array(text.utf8) }

  /// Appends text that needs no escapes.
  mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  /// Appends text with what could end the line or drive a terminal escaped as JSON does.
  mutating func append(escaped text: String, quotes: Bool = false) {
    let limit = bytes.count + Self.valueBytes
    for scalar in text.unicodeScalars {
      guard bytes.count < limit else { return append("\u{2026}") }
      switch scalar {
      case " "..."~" where scalar != "\"" && scalar != "\\": bytes.append(UInt8(scalar.value))
      case "\"" where quotes, "\\" where quotes:
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(scalar.value))
      case "\n": append("\\n")
      case "\t": append("\\t")
      case "\r": append("\\r")
      case _ where scalar.breaksLines: append(unicodeEscape: scalar)
      default: bytes.append(contentsOf: UTF8.encode(scalar)!)
      }
    }
  }

  /// Appends a JSON string.
  mutating func append(quoted text: String) {
    append("\"")
    append(escaped: text, quotes: true)
    append("\"")
  }

  /// Appends a value as JSON. With `bareWords`, text that holds no space, quote or equals sign is not quoted.
  mutating func append(json value: Logger.MetadataValue, under key: String, bareWords: Bool = false, depth: Int = 0) {
    if LogLine.isSecret(key) { return append(quoted: "[redacted]") }
    switch value {
    case .string(let text): append(text: text, bareWords: bareWords)
    case .stringConvertible(let value): append(text: value.description, bareWords: bareWords)
    case .array(let values):
      append("[")
      for (index, value) in values.enumerated() where hasRoom(depth) {
        if index > 0 { append(",") }
        append(json: value, under: key, depth: depth + 1)
      }
      append("]")
    case .dictionary(let fields):
      append("{")
      for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() where hasRoom(depth) {
        if index > 0 { append(",") }
        append(quoted: field.key)
        append(":")
        append(json: field.value, under: field.key, depth: depth + 1)
      }
      append("}")
    }
  }

  private func hasRoom(_ depth: Int) -> Bool { depth < Self.depth && bytes.count < LogLine.lineBytes }

  private mutating func append(text: String, bareWords: Bool) {
    let isBare = bareWords && !text.isEmpty && !text.unicodeScalars.contains { " \"=".unicodeScalars.contains($0) }
    if isBare { append(escaped: text) } else { append(quoted: text) }
  }

  private mutating func append(unicodeEscape scalar: Unicode.Scalar) {
    // All that need it are in the Basic Multilingual Plane.
    let digits = String(scalar.value, radix: 16)
    append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
  }
}

extension Unicode.Scalar {
  fileprivate var breaksLines: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }
}
