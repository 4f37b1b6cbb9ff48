import Synchronization
public import TimeAndChance

/// Which calls are made again when they fail, how often, and after which pauses.
///
/// Follows gRPC's retry design (https://github.com/grpc/proposal/blob/master/A6-client-retries.md). Only calls with one
/// request and one reply are made again once they were sent, and only those whose method the schema marks as idempotent or
/// without side effects. Streams are opened again as long as nothing of them was sent.
public struct RetryPolicy: Sendable, Hashable {
  /// How often a call is made at most, the first time included.
  public var maximumAttempts: Int
  /// The pauses before each repetition, unless the server asks for another.
  public var backoff: Backoff
  /// Failures after which a call is made again.
  public var codes: Set<StatusCode>

  /// A policy; `maximumAttempts` is at least 1.
  public init(
    maximumAttempts: Int = 4, backoff: Backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(2)),
    codes: Set<StatusCode> = [.unavailable]
  ) {
    precondition(maximumAttempts >= 1, "a call is made at least once")
    self.maximumAttempts = maximumAttempts
    self.backoff = backoff
    self.codes = codes
  }
}

/// Keeps clients from overwhelming servers in trouble: each failure costs a token, each success gives back a part of one, and
/// nothing is made again while half of them or more are gone. Shared by all calls to one service.
public final class RetryBudget: Sendable {
  private let maximum: Double
  private let refund: Double
  private let tokens: Mutex<Double>

  /// A full budget of `tokens`, of which each success gives back `refund`.
  public init(tokens: Double = 10, refund: Double = 0.1) {
    precondition(tokens > 0 && refund > 0, "a budget needs tokens, and gives them back")
    maximum = tokens
    self.refund = refund
    self.tokens = Mutex(tokens)
  }

  /// Takes a token for a failure; returns whether the call may be made again.
  func spend() -> Bool {
    tokens.withLock { tokens in
      tokens = max(0, tokens - 1)
      return tokens > maximum / 2
    }
  }

  /// A call has succeeded.
  func earn() { tokens.withLock { $0 = min(maximum, $0 + refund) } }
}
