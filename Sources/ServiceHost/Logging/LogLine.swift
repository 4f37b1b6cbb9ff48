import Domain
import Logging

/// One line of a log before it is written.
struct LogLine {
  /// From this many bytes on, further fields are left out.
  static let lineBytes = 32 * 1024
  /// What a line says under its own keys; metadata of the same name gets an underscore.
  static let reservedKeys: Set<String> = ["ts", "level", "service", "instance", "message", "truncated"]
  /// What the keys of secrets contain.
  static let secretWords = ["password", "passphrase", "secret", "token", "privateKey", "authorization"].map(folded)

  let time: Timestamp
  let level: Logger.Level
  let service: String
  let instance: String
  let message: String
  let fields: [(key: String, value: Logger.MetadataValue)]

  /// The line as a JSON object.
  func json() -> [UInt8] {
    var text = LogText(#"{"ts":""# + time.rfc3339 + #"","level":""# + level.rawValue + #"","service":"#)
    text.append(quoted: service)
    text.append(#","instance":"#)
    text.append(quoted: instance)
    text.append(#","message":"#)
    text.append(quoted: message)
    for (key, value) in fields {
      guard text.bytes.count < Self.lineBytes else {
        text.append(#","truncated":true"#)
        break
      }
      text.append(",")
      text.append(quoted: Self.reservedKeys.contains(key) ? key + "_" : key)
      text.append(":")
      text.append(json: value, under: key)
    }
    text.append("}\n")
    return text.bytes
  }

  /// The line for people: `15:14:47.012345 WARNING signer/s-1 message key=value`.
  func text(colors: Bool) -> [UInt8] {
    var text = LogText(String(time.rfc3339.dropFirst(11).dropLast()) + " ")
    let level = level.rawValue.uppercased()
    text.append(colors ? self.level.color + level + "\u{1B}[0m" : level)
    text.append(String(repeating: " ", count: max(1, 9 - level.count)))
    text.append(escaped: "\(service)/\(instance) \(message)")
    for (key, value) in fields {
      guard text.bytes.count < Self.lineBytes else {
        text.append(" ...")
        break
      }
      text.append(" ")
      text.append(escaped: key)
      text.append("=")
      text.append(json: value, under: key, bareWords: true)
    }
    text.append("\n")
    return text.bytes
  }

  /// Whether the value under a key is a secret, however the words of the key are joined.
  static func isSecret(_ key: String) -> Bool {
    let key = folded(key)
    return secretWords.contains { word in
      key.indices.dropLast(word.count - 1).contains { key[$0...].starts(with: word) }
    }
  }

  /// The bytes of ASCII text with upper and lower case alike, without what joins words.
  private static func folded(_ text: String) -> [UInt8] {
    text.utf8.lazy.filter { !"_-. ".utf8.contains($0) }.map { $0 | 0x20 }
  }
}

extension Logger.Level {
  fileprivate var color: String {
    switch self {
    case .trace, .debug: "\u{1B}[2m"
    case .info, .notice: "\u{1B}[32m"
    case .warning: "\u{1B}[33m"
    case .error, .critical: "\u{1B}[31m"
    }
  }
}
