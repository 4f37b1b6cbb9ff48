import Domain
import Schema
import Storage

extension StoredEvent {
  /// The most text of a message, in bytes; what is beyond is cut off.
  static let messageBytes = 4096
  /// The most attributes; further ones are left out.
  static let attributeCount = 32
  /// The most text of a name or of an attribute's name and value, in bytes each.
  static let fieldBytes = 512
  /// The times that every store can keep: 1970 to 9999.
  static let times = Timestamp(rawValue: 0)...Timestamp(rawValue: 253_402_300_799_999_999)

  /// An event as its reporter tells it, cut to the bounds. A time that cannot be is replaced by `now`.
  init(_ event: ChanceryV1.Event, of instance: ChanceryV1.ServiceInstance, now: Timestamp) {
    let at = Timestamp(rawValue: event.atUs)
    var attributes: [String: String] = [:]
    for attribute in event.attributes.prefix(Self.attributeCount) {
      attributes[attribute.name.cut(to: Self.fieldBytes)] = attribute.value.cut(to: Self.fieldBytes)
    }
    self.init(
      level: event.level.name, at: Self.times.contains(at) ? at : now, service: instance.service,
      instance: instance.name, name: event.name.cut(to: Self.fieldBytes),
      message: event.message.cut(to: Self.messageBytes), attributes: attributes)
  }
}

extension ChanceryV1.EventLevel {
  /// As stores name it. A level that this version does not know counts as `info`.
  fileprivate var name: String {
    switch self {
    case .debug: "debug"
    case .info, .unspecified, .unrecognized: "info"
    case .warning: "warning"
    case .error: "error"
    }
  }
}

extension String {
  /// At most `bytes` bytes of UTF-8, cut between scalars.
  fileprivate func cut(to bytes: Int) -> String {
    if utf8.count <= bytes { return self }
    var end = utf8.index(startIndex, offsetBy: bytes)
    while utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
