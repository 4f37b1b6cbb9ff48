public import Domain
public import RPC
public import Schema

extension TraceContext {
  /// The trace of a job: the one that it was submitted in, or else one of its own, whose id is the job's.
  public init?(of job: JobID, submittedIn trace: JobTrace?) {
    if let trace, let context = TraceContext(parent: trace.parent, state: trace.state) {
      self = context
    } else {
      self.init(bytes: job.bytes)
    }
  }

  /// The trace that a message names; nil if it names none that is valid.
  public init?(_ message: ChanceryV1.TraceContext?) {
    guard let message else { return nil }
    self.init(parent: message.traceparent, state: message.tracestate)
  }

  /// The trace as messages name it.
  public var message: ChanceryV1.TraceContext { ChanceryV1.TraceContext(traceparent: parent, tracestate: state ?? "") }

  /// The trace as a job keeps it.
  public var jobTrace: JobTrace { JobTrace(parent: parent, state: state) }
}
