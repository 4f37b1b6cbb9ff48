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
      level: EventLevel(event.level) ?? .info, at: Self.times.contains(at) ? at : now, service: instance.service,
      instance: instance.name, name: event.name.cut(to: Self.fieldBytes),
      message: event.message.cut(to: Self.messageBytes), attributes: attributes)
  }
}

extension EventLevel {
  /// As stores name it; nil for one that was not said, or that this version does not know.
  init?(_ level: ChanceryV1.EventLevel) {
    switch level {
    case .debug: self = .debug
    case .info: self = .info
    case .warning: self = .warning
    case .error: self = .error
    case .unspecified, .unrecognized: return nil
    }
  }

  var message: ChanceryV1.EventLevel {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}

extension StoredEvent {
  /// As it is told to those who ask.
  var logged: ChanceryV1.LoggedEvent {
    let labels = attributes.sorted { $0.key < $1.key }.map { ChanceryV1.Label(name: $0.key, value: $0.value) }
    return ChanceryV1.LoggedEvent(
      event: ChanceryV1.Event(
        atUs: at.rawValue, level: level.message, name: name, message: message, attributes: labels),
      service: service, instance: instance)
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
