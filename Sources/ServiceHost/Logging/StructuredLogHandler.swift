public import Domain
public import Logging

/// Writes every event as one line of JSON or text: time, level, service, instance and message, then the metadata by
/// key.
///
/// What came from outside cannot break a line or reach a terminal as a control sequence: control characters are
/// escaped. Values under keys that name secrets are not written. Long values and lines are cut.
public struct StructuredLogHandler: LogHandler {
  /// The least serious level that is logged.
  public var logLevel: Logger.Level
  /// What every line tells.
  public var metadata: Logger.Metadata = [:]
  /// What the surroundings of an event tell, such as a trace.
  public var metadataProvider: Logger.MetadataProvider?

  private let service: String
  private let instance: String
  private let format: LogFormat
  private let output: LogOutput
  private let wallClock: @Sendable () -> Timestamp

  /// A handler that tells `service` and `instance` with every line.
  public init(
    service: String, instance: String, configuration: LogConfiguration,
    wallClock: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
  ) {
    self.service = service
    self.instance = instance
    self.wallClock = wallClock
    logLevel = configuration.level
    format = configuration.format
    output = configuration.output
  }

  /// What every line tells under `key`.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes a line.
  public func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
    if let own = event.metadata { fields.merge(own) { $1 } }
    if let error = event.error { fields["error"] = "\(error)" }
    let line = LogLine(
      time: wallClock(), level: event.level, service: service, instance: instance,
      message: event.message.description, fields: fields.sorted { $0.key < $1.key })
    switch format {
    case .json: output.write(line.json())
    case .text(let colors): output.write(line.text(colors: colors))
    }
  }
}
