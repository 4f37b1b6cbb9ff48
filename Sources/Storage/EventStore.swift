public import Domain

/// What happened, for later questions.
public protocol EventStore: Sendable {
  /// Stores events, all or none.
  func append(_ events: [StoredEvent]) async throws(StorageError)

  /// The newest events first, at most `limit`.
  func newestEvents(limit: Int) async throws(StorageError) -> [StoredEvent]
}

/// Something that happened in a service.
public struct StoredEvent: Sendable, Hashable {
  /// How serious: `debug`, `info`, `warning` or `error`.
  public var level: String
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
    level: String, at: Timestamp, service: String, instance: String, name: String, message: String,
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
