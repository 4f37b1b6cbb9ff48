public import RPC
import Synchronization
import Telemetry
public import TimeAndChance

/// Counts the calls of each method on one side: how many, with which codes, how long, how many bytes, how many at a time.
///
/// It stands on the path of every call, so that it keeps its own numbers, by method, and hands them out when it is asked.
public final class CallMeter: CallInterceptor {
  private let side: CallStart.Side
  private let clock: any ServiceClock
  private let tallies = Mutex<[MethodDescriptor: MethodTally]>([:])

  /// Counts the calls that come in at a server, or go out from a client.
  public init(_ side: CallStart.Side, clock: any ServiceClock) {
    self.side = side
    self.clock = clock
  }

  /// See `CallInterceptor`.
  public func intercept(_ call: inout CallStart) throws(RPCError) -> (any CallObserver)? {
    let tally = tallies.withLock { tallies in
      if let known = tallies[call.method] { return known }
      let new = MethodTally()
      tallies[call.method] = new
      return new
    }
    return MeteredCall(tally, clock)
  }

  private var prefix: String { side == .server ? "chancery_rpc_server" : "chancery_rpc_client" }

  /// What the numbers mean.
  var descriptions: [MetricDescription] {
    [
      ("calls_total", "Calls that have ended, by method and status code"),
      ("calls_in_flight", "Calls that have not ended"),
      ("sent_bytes_total", "Bytes of the messages sent"),
      ("received_bytes_total", "Bytes of the messages received"),
      ("call_duration_seconds", "How long calls took"),
    ].map { MetricDescription(MetricName(rawValue: "\(prefix)_\($0)"), $1) }
  }

  /// What was counted.
  var samples: [MetricSample] {
    let prefix = prefix
    return tallies.withLock { $0 }.flatMap { method, tally in
      tally.numbers.withLock { $0.samples(prefix, method: "\(method.service)/\(method.method)") }
    }
  }
}

/// The numbers of one method.
private final class MethodTally: Sendable {
  let numbers = Mutex(CallNumbers())
}

private struct CallNumbers {
  var started: UInt64 = 0
  var ended: [StatusCode: UInt64] = [:]
  var sentBytes: UInt64 = 0
  var receivedBytes: UInt64 = 0
  var durations = HDRHistogram()

  mutating func end(_ code: StatusCode, after duration: Duration) {
    ended[code, default: 0] += 1
    durations.record(duration)
  }

  func samples(_ prefix: String, method: String) -> [MetricSample] {
    func sample(
      _ name: String, _ kind: MetricSample.Kind, _ value: Double, _ labels: MetricLabels = [:]
    ) -> MetricSample {
      MetricSample(
        name: MetricName(rawValue: "\(prefix)_\(name)"), labels: labels.merging(["method": method]) { $1 }, kind: kind,
        value: value)
    }
    let duration = MetricSample(
      name: MetricName(rawValue: "\(prefix)_call_duration_seconds"), labels: ["method": method], kind: .histogram,
      histogram: durations)
    return ended.map { code, count in sample("calls_total", .counter, Double(count), ["code": code.description]) } + [
      sample("calls_in_flight", .gauge, Double(started - durations.count)),
      sample("sent_bytes_total", .counter, Double(sentBytes)),
      sample("received_bytes_total", .counter, Double(receivedBytes)), duration,
    ]
  }
}

/// A call that is being measured.
private final class MeteredCall: CallObserver {
  private let tally: MethodTally
  private let clock: any ServiceClock
  private let start: ContinuousClock.Instant

  init(_ tally: MethodTally, _ clock: any ServiceClock) {
    self.tally = tally
    self.clock = clock
    start = clock.now
    tally.numbers.withLock { $0.started += 1 }
  }

  func willSend(_ message: inout [UInt8]) throws(RPCError) {
    let count = UInt64(message.count)
    tally.numbers.withLock { $0.sentBytes += count }
  }

  func didReceive(_ message: inout ArraySlice<UInt8>) throws(RPCError) {
    let count = UInt64(message.count)
    tally.numbers.withLock { $0.receivedBytes += count }
  }

  func didEnd(_ error: RPCError?) {
    let duration = start.duration(to: clock.now)
    tally.numbers.withLock { $0.end(error?.code ?? .ok, after: duration) }
  }
}
