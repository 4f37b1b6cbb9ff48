import Logging
import Schema
import Synchronization
public import Telemetry

extension MetricsRegistry {
  /// See `Observer`. The event is logged, and queued for Logger if it is serious enough; both with the trace of the task.
  public func event(_ level: EventSeverity, _ name: String, _ message: String, _ attributes: [String: String]) {
    let attributes = attributes.merging(TraceFields.current) { $1 }
    var metadata: Logger.Metadata = attributes.mapValues { .string($0) }
    metadata["event"] = .string(name)
    logger.log(level: level.logLevel, "\(message)", metadata: metadata)
    guard level >= limits.eventSeverity else { return }
    let event = ChanceryV1.Event(level, name, message, attributes, at: wallClock())
    state.withLock { state in
      guard state.events.count < limits.events else { return state.dropEvents(1) }
      state.events.append(event)
    }
  }

  /// The events that wait, oldest first, without the first `count`. They stay until `removeEvents`, for the one
  /// reporter of the registry.
  func pendingEvents(after count: Int = 0) -> [ChanceryV1.Event] {
    state.withLock { Array($0.events.dropFirst(count)) }
  }

  func removeEvents(_ count: Int) { state.withLock { $0.events.removeFirst(count) } }

  /// Events that Logger will not get, since the process started.
  var eventsDropped: UInt64 { state.withLock { $0.eventsDropped } }

  func addDroppedEvents(_ count: UInt64) { state.withLock { $0.dropEvents(count) } }
}

extension EventSeverity {
  fileprivate var logLevel: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}
