import DynamicMessages
import FoundationEssentials

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

extension JSONValue {
  /// What a value is in JSON, for other formats that can say the same.
  init(encoding value: some Encodable) {
    do {
      self = try JSONDecoder().decode(JSONValue.self, from: Data(JSONText.line(value).utf8))
    } catch {
      preconditionFailure("JSON that was encoded can be decoded: \(error)")
    }
  }
}
