/// What calls take over from the call that a handler serves while it makes them: its deadline and its trace.
///
/// It is bound around every handler whose call has one of them, and `ClientChannel` observes it: a call ends at the scope's
/// deadline at the latest, and belongs to its trace. Work that outlives the handler runs in a scope of its own:
/// `CallScope.$current.withValue(nil) { … }`.
public struct CallScope: Sendable, Hashable {
  /// When calls end at the latest.
  public var deadline: ContinuousClock.Instant?
  /// The trace that calls belong to.
  public var trace: TraceContext?

  /// The scope of the task.
  @TaskLocal public static var current: CallScope?

  /// A scope.
  public init(deadline: ContinuousClock.Instant? = nil, trace: TraceContext? = nil) {
    self.deadline = deadline
    self.trace = trace
  }

  /// The scope of the task with another trace; nil where neither has anything to take over.
  public static func tracing(_ trace: TraceContext?) -> CallScope? {
    let deadline = current?.deadline
    return trace == nil && deadline == nil ? nil : CallScope(deadline: deadline, trace: trace)
  }

  /// The scope of the handler of a call; nil if there is nothing to take over.
  init?(of context: ServerContext) {
    self.init(deadline: context.deadline, trace: context.metadata.isEmpty ? nil : TraceContext(context.metadata))
    if deadline == nil && trace == nil { return nil }
  }
}
