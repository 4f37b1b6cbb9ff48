public import TimeAndChance

/// A channel that makes calls again that fail on another channel, as far as a policy and a budget allow.
///
/// A server may set the trailer `grpc-retry-pushback-ms` to the milliseconds after which it wants to see the call again, or
/// to -1 for never. It finds in `grpc-previous-rpc-attempts` how often the call was made before.
public struct RetryingChannel: RPCChannel {
  private let channel: any RPCChannel
  private let policy: RetryPolicy
  private let budget: RetryBudget
  private let clock: any ServiceClock
  private let random: any RandomSource

  /// Puts retries before `channel`.
  public init(
    _ channel: any RPCChannel, policy: RetryPolicy = RetryPolicy(), budget: RetryBudget = RetryBudget(),
    clock: any ServiceClock = ContinuousClock(), random: any RandomSource = SystemRandom()
  ) {
    self.channel = channel
    self.policy = policy
    self.budget = budget
    self.clock = clock
    self.random = random
  }

  /// See `RPCChannel`.
  public func unaryBytes(
    _ method: MethodDescriptor, _ request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ArraySlice<UInt8> {
    guard method.idempotency != .unknown else {
      return try await channel.unaryBytes(method, request, options: options)
    }
    return try await repeating(options) { attempt throws(RPCError) in
      defer { if let received = attempt.received { options.received?.take(received) } }
      return try await channel.unaryBytes(method, request, options: attempt)
    }
  }

  /// See `RPCChannel`. A call that fails to open has not been sent, whatever its method.
  public func open(
    _ method: MethodDescriptor, request: [UInt8], options: CallOptions
  ) async throws(RPCError) -> ClientCall {
    try await repeating(options) { attempt throws(RPCError) in
      var attempt = attempt
      // Comes with the replies, which are still to be read.
      attempt.received = options.received
      return try await channel.open(method, request: request, options: attempt)
    }
  }

  /// Makes a call until it succeeds, may not be made again, or would have to wait beyond its deadline.
  private func repeating<Value>(
    _ options: CallOptions, _ call: (CallOptions) async throws(RPCError) -> Value
  ) async throws(RPCError) -> Value {
    let deadline = options.timeout.map { clock.now.advanced(by: $0) }
    var attempt = options
    var failures = 0
    while true {
      let received = ReplyMetadata()
      attempt.received = received
      do throws(RPCError) {
        let value = try await call(attempt)
        budget.earn()
        return value
      } catch {
        guard policy.codes.contains(error.code) else { throw error }
        failures += 1
        guard budget.spend(), failures < policy.maximumAttempts, !Task.isCancelled,
          let pause = pause(after: failures, received.trailers[Self.pushbackName])
        else { throw error }
        let next = clock.now.advanced(by: pause)
        if let deadline, next >= deadline { throw error }
        do {
          try await clock.sleep(until: next, tolerance: nil)
        } catch {
          throw ClientConnection.callerCancelled
        }
        attempt.timeout = deadline.map { clock.now.duration(to: $0) }
        attempt.metadata.replace(Self.attemptsName, with: "\(failures)")
      }
    }
  }

  /// The pause before the next attempt; nil if the server wants none.
  private func pause(after failures: Int, _ pushback: String?) -> Duration? {
    guard let pushback else { return policy.backoff.delay(attempt: failures - 1, random: random) }
    guard let milliseconds = Int(pushback), milliseconds >= 0 else { return nil }
    return .milliseconds(milliseconds)
  }

  private static let pushbackName = "grpc-retry-pushback-ms"
  private static let attemptsName = "grpc-previous-rpc-attempts"
}
