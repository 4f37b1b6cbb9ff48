import Domain
import Schema
import Telemetry

extension ChanceryV1.Event {
  /// The most text of a message, in bytes; what is beyond is cut off.
  static let messageBytes = 2048
  /// The most attributes; further ones are left out.
  static let attributeCount = 24
  /// The most text of a name or of an attribute's name and value, in bytes each.
  static let fieldBytes = 256

  /// An event as it is sent: cut to the bounds, with its attributes by name.
  init(
    _ severity: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String], at: Timestamp
  ) {
    let labels = attributes.sorted { $0.key < $1.key }.prefix(Self.attributeCount).map { name, value in
      ChanceryV1.Label(name: name.sendable(Self.fieldBytes), value: value.sendable(Self.fieldBytes))
    }
    self.init(
      atUs: at.rawValue, level: severity.message, name: name.sendable(Self.fieldBytes),
      message: message.sendable(Self.messageBytes), attributes: labels)
  }
}

extension EventSeverity {
  fileprivate var message: ChanceryV1.EventLevel {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}

extension String {
  /// At most `limit` bytes of UTF-8, cut between scalars, with a replacement character for NUL, which cannot be sent.
  fileprivate func sendable(_ limit: Int) -> String {
    if utf8.count <= limit && !utf8.contains(0) { return self }
    var end = utf8.index(startIndex, offsetBy: limit, limitedBy: endIndex) ?? endIndex
    while end < endIndex && utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
    return String(String.UnicodeScalarView(self[..<end].unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
  }
}
