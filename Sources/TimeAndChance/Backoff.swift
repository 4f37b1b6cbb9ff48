/// Capped exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): delay n (from 0) is
/// uniform in `[initial, min(maximum, initial · 2ⁿ⁺¹)]`, so that clients which failed together do not come back together.
public struct Backoff: Sendable, Hashable {
  /// The lower end of every delay.
  public let initial: Duration
  /// The upper end of every delay; with `maximum == initial` there is no jitter.
  public let maximum: Duration

  /// A backoff between `initial`, which must be positive, and `maximum`.
  public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(10)) {
    precondition(initial > .zero && maximum >= initial, "a backoff needs 0 < initial <= maximum")
    self.initial = initial
    self.maximum = maximum
  }

  /// The delay before retry `attempt`; 0 is the first retry.
  public func delay(attempt: Int, random: some RandomSource) -> Duration {
    precondition(attempt >= 0, "attempts are counted from 0, got \(attempt)")
    var ceiling = initial
    var doublings = 0
    while doublings <= attempt, ceiling < maximum {
      ceiling += min(ceiling, maximum - ceiling)
      doublings += 1
    }
    return initial + (ceiling - initial) * random.next(in: 0...1)
  }
}
