public import Logging

/// What is logged, how, and where to.
public struct LogConfiguration: Sendable {
  /// The least serious level that is logged.
  public var level: Logger.Level
  /// How lines look.
  public var format: LogFormat
  /// Where lines go.
  public var output: LogOutput

  /// A configuration; without a format, lines are for people on a terminal and JSON elsewhere.
  public init(level: Logger.Level = .info, format: LogFormat? = nil, output: LogOutput = .standardError) {
    self.level = level
    self.format = format ?? (output.isTerminal ? .text(colors: true) : .json)
    self.output = output
  }

  /// Reads a level (`trace` to `critical`) and a format (`json`, `text`, or `auto` for what the output is), as options
  /// and environment variables give them.
  public init(level: String, format: String, output: LogOutput = .standardError) throws(ConfigurationError) {
    guard let level = Logger.Level(rawValue: level.lowercased()) else {
      let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
      throw ConfigurationError(option: "log level", value: level, reason: "expected one of \(levels)")
    }
    switch format {
    case "auto": self.init(level: level, output: output)
    case "json": self.init(level: level, format: .json, output: output)
    case "text": self.init(level: level, format: .text(colors: output.isTerminal), output: output)
    default:
      throw ConfigurationError(option: "log format", value: format, reason: "expected auto, json or text")
    }
  }

  /// A logger that tells `service` and `instance` with every line, and of a task that belongs to a trace `trace` and `span`.
  public func makeLogger(service: String, instance: String) -> Logger {
    Logger(label: service) { _ in
      var handler = StructuredLogHandler(service: service, instance: instance, configuration: self)
      handler.metadataProvider = Logger.MetadataProvider { TraceFields.current.mapValues { .string($0) } }
      return handler
    }
  }
}

/// How log lines look.
public enum LogFormat: Sendable, Hashable {
  /// One JSON object (RFC 8259) a line, for programs.
  case json
  /// For people.
  case text(colors: Bool)
}
