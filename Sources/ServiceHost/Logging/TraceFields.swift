import RPC

/// What lines of the log and events say of the trace that they belong to: the one place where it is put into words.
enum TraceFields {
  /// Of the task's trace, `trace` and `span`; empty if it belongs to none.
  static var current: [String: String] {
    guard let trace = CallScope.current?.trace else { return [:] }
    return ["trace": trace.traceID, "span": trace.spanID]
  }
}
