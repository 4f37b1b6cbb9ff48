/// The trace that a job was submitted in, as W3C Trace Context writes it. What it says is of no concern here.
public struct JobTrace: Sendable, Hashable {
  /// The header `traceparent`: 55 characters.
  public var parent: String
  /// The header `tracestate`, at most 512 bytes; nil for none.
  public var state: String?

  /// Makes a trace of headers that were checked.
  public init(parent: String, state: String?) {
    self.parent = parent
    self.state = state
  }
}
