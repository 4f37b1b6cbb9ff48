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
  /// The upper ends of the buckets, in seconds; Prometheus's usual ones and finer ones below.
  static let bounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  var started: UInt64 = 0
  var ended: [StatusCode: UInt64] = [:]
  var sentBytes: UInt64 = 0
  var receivedBytes: UInt64 = 0
  /// How many calls fell into each bucket, the last of which has no upper end.
  var durations = [UInt64](repeating: 0, count: bounds.count + 1)
  var totalDuration = 0.0

  mutating func end(_ code: StatusCode, after duration: Duration) {
    ended[code, default: 0] += 1
    let seconds = duration.inSeconds
    totalDuration += seconds
    durations[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
  }

  func samples(_ prefix: String, method: String) -> [MetricSample] {
    func sample(
      _ name: String, _ kind: MetricSample.Kind, _ value: Double, _ labels: MetricLabels = [:], suffix: String = ""
    ) -> MetricSample {
      MetricSample(
        family: MetricName(rawValue: "\(prefix)_\(name)"), suffix: suffix,
        labels: labels.merging(["method": method]) { $1 }, kind: kind, value: value)
    }
    let endedCount = ended.values.reduce(0, +)
    var samples = ended.map { code, count in
      sample("calls_total", .counter, Double(count), ["code": code.description])
    }
    samples += [
      sample("calls_in_flight", .gauge, Double(started - endedCount)),
      sample("sent_bytes_total", .counter, Double(sentBytes)),
      sample("received_bytes_total", .counter, Double(receivedBytes)),
      sample("call_duration_seconds", .histogram, totalDuration, suffix: "_sum"),
      sample("call_duration_seconds", .histogram, Double(endedCount), suffix: "_count"),
    ]
    var below: UInt64 = 0
    for (index, count) in durations.enumerated() {
      below += count
      let bound = index < Self.bounds.count ? "\(Self.bounds[index])" : "+Inf"
      samples.append(
        sample("call_duration_seconds", .histogram, Double(below), ["le": bound], suffix: "_bucket"))
    }
    return samples
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
