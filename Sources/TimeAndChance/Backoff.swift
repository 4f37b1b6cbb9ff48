/// Capped exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): the n-th delay is
/// uniform in `[initial, min(maximum, initial · 2ⁿ)]`, so that clients which failed together do not come back together.
public struct Backoff: Sendable, Equatable {
  /// The lower end of every delay.
  public var initial: Duration
  /// The upper end of every delay.
  public var maximum: Duration

  /// A backoff between `initial` and `maximum`.
  public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(10)) {
    precondition(initial > .zero && maximum >= initial, "a backoff needs 0 < initial <= maximum")
    self.initial = initial
    self.maximum = maximum
  }

  /// The delay before attempt `attempt` (0 is the first retry).
  public func delay(attempt: Int, random: some RandomSource) -> Duration {
    let ceiling = min(maximum, initial * (1 << min(attempt, 30)))
    return initial + (ceiling - initial) * random.next(in: 0...1)
  }
}
