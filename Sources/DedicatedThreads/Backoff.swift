/// How long to wait before the next attempt to reach a server that could not be reached.
///
/// The delay doubles with each failure up to a maximum, and a random part of up to half is taken off it, so that many
/// clients of one restarted server do not come back at the same instant ("equal jitter").
public struct Backoff: Sendable, Equatable {
  /// The delay after the first failure, before jitter.
  public var initial: Duration
  /// The longest delay, before jitter.
  public var maximum: Duration

  /// By default 50 ms, doubling up to 2 s.
  public init(initial: Duration = .milliseconds(50), maximum: Duration = .seconds(2)) {
    precondition(initial >= .zero && maximum >= initial, "a backoff needs 0 ≤ initial ≤ maximum")
    self.initial = initial
    self.maximum = maximum
  }

  /// The delay after so many failures in a row.
  ///
  /// - Parameters:
  ///   - failures: at least 1.
  ///   - random: a number in 0..<1.
  public func delay(afterFailures failures: Int, random: Double) -> Duration {
    precondition(failures >= 1 && (0..<1).contains(random), "a delay needs a failure and a random number in 0..<1")
    var delay = initial
    for _ in 1..<min(failures, 64) where delay < maximum { delay *= 2 }
    return min(delay, maximum) * (1 - random / 2)
  }
}
