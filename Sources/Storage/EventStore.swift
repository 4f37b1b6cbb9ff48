public import Domain

/// What happened, for later questions.
public protocol EventStore: Sendable {
  /// Stores events, all or none.
  func append(_ events: [StoredEvent]) async throws(StorageError)

  /// Events that pass a filter, in the order in which they were stored or in the opposite one: at most `limit`, those beyond
  /// `position`, if there is one.
  func events(
    _ filter: EventFilter, order: EventOrder, after position: EventPosition?, limit: Int
  ) async throws(StorageError) -> [PlacedEvent]

  /// Drops all events but those stored on the last `days` days (UTC), today included, and makes room for those of today and
  /// tomorrow; returns how many days were dropped. `days` must be at least 1.
  func retainEvents(days: Int) async throws(StorageError) -> Int
}

/// Something that happened in a service.
public struct StoredEvent: Sendable, Hashable {
  /// How serious.
  public var level: EventLevel
  /// When, on the reporter's clock.
  public var at: Timestamp
  /// The kind of the service, such as `signer`.
  public var service: String
  /// Which one.
  public var instance: String
  /// What happened, such as `batch.refused`.
  public var name: String
  /// For people.
  public var message: String
  /// Particulars: ids and numbers.
  public var attributes: [String: String]

  /// Makes an event.
  public init(
    level: EventLevel, at: Timestamp, service: String, instance: String, name: String, message: String,
    attributes: [String: String]
  ) {
    self.level = level
    self.at = at
    self.service = service
    self.instance = instance
    self.name = name
    self.message = message
    self.attributes = attributes
  }
}

/// How serious an event is, as stores write it.
public enum EventLevel: String, Sendable, Hashable, CaseIterable, Comparable {
  /// For finding faults.
  case debug
  /// The normal course of things.
  case info
  /// Something to look at.
  case warning
  /// Something failed.
  case error

  /// From debug up to error.
  public static func < (left: EventLevel, right: EventLevel) -> Bool {
    allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
  }
}

/// Which of two events comes first.
public enum EventOrder: Sendable, Hashable {
  /// The one that was stored last.
  case newestFirst
  /// The one that was stored first.
  case oldestFirst
}

/// The place of an event in the order in which events were stored.
public struct EventPosition: Sendable, Hashable, Comparable {
  /// When it was stored, on the store's clock.
  public var storedAt: Timestamp
  /// Rises among those that were stored together.
  public var id: Int64

  /// A place.
  public init(storedAt: Timestamp, id: Int64) { (self.storedAt, self.id) = (storedAt, id) }

  /// The order of being stored.
  public static func < (left: EventPosition, right: EventPosition) -> Bool {
    (left.storedAt, left.id) < (right.storedAt, right.id)
  }
}

/// An event and where it stands.
public struct PlacedEvent: Sendable, Hashable {
  /// What happened.
  public var event: StoredEvent
  /// Where it stands.
  public var position: EventPosition

  /// Makes one.
  public init(event: StoredEvent, position: EventPosition) { (self.event, self.position) = (event, position) }
}

/// Which events are meant: those that pass everything that is given.
public struct EventFilter: Sendable, Hashable {
  /// This level and those above.
  public var minimumLevel = EventLevel.debug
  /// Kinds of services; none for all.
  public var services: [String] = []
  /// Names of instances; none for all.
  public var instances: [String] = []
  /// The name of the event; with a dot at its end, the names that begin so. Empty for all.
  public var name = ""
  /// Attributes that must have these values.
  public var attributes: [String: String] = [:]
  /// Text that the message contains, upper and lower case alike where both are ASCII. Empty for all.
  public var text = ""
  /// When they happened, on the reporter's clock.
  public var times = EventFilter.allTimes

  /// All times that an event can have, and the end of them: 1970 to 9999.
  public static let allTimes = Timestamp(rawValue: 0)..<Timestamp(rawValue: 253_402_300_800_000_000)
  /// By how much a reporter's clock may be ahead of the store's for its events to be found by time.
  public static let lead: Duration = .seconds(3600)
  /// How long after it happened an event may be stored to be found by time.
  public static let delay: Duration = .seconds(86_400)

  /// All events.
  public init() {}

  /// When events that pass may have been stored.
  public var storedTimes: Range<Timestamp> {
    let first = max(times.lowerBound.advanced(by: .zero - Self.lead), Self.allTimes.lowerBound)
    return first..<max(first, min(times.upperBound.advanced(by: Self.delay), Self.allTimes.upperBound))
  }

  /// Whether an event passes.
  public func includes(_ event: StoredEvent) -> Bool {
    event.level >= minimumLevel && (services.isEmpty || services.contains(event.service))
      && (instances.isEmpty || instances.contains(event.instance))
      && (name.isEmpty || event.name == name || name.hasSuffix(".") && event.name.hasPrefix(name))
      && attributes.allSatisfy { event.attributes[$0.key] == $0.value }
      && (text.isEmpty || event.message.asciiLowercased.contains(text.asciiLowercased)) && times.contains(event.at)
  }
}

extension String {
  /// With the letters of ASCII in lower case: what every store does in the same way, whatever its locale.
  fileprivate var asciiLowercased: String {
    String(decoding: utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
