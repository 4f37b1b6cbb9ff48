import RPC
import TimeAndChance

/// The trace that all calls of a command belong to: the one of whoever started the command, or else a new one.
enum CommandTrace {
  /// `TRACEPARENT` and `TRACESTATE` are what tools that run commands in a trace set; a malformed one counts as none.
  static let scope: CallScope = {
    let given = Settings.value(nil, variable: "TRACEPARENT").flatMap {
      TraceContext(parent: $0, state: Settings.value(nil, variable: "TRACESTATE"))
    }
    return CallScope(trace: given ?? TraceContext(random: SystemRandom()))
  }()
}
