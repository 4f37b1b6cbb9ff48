import ArgumentParser
import Domain
import FoundationEssentials

/// The times that all services of a cluster agree on: give every service the same.
struct TimingOptions: ParsableArguments {
  @Option(help: "Seconds that a lease of a key lives without being renewed, 1 to 300 (CHANCERY_LEASE_TTL; default 10).")
  var leaseTTL: Double?

  @Option(help: "Seconds before its end at which a lease is used no more (CHANCERY_LEASE_MARGIN; default 1).")
  var leaseMargin: Double?

  @Option(help: "Seconds for which a signer waits for a key (CHANCERY_ACQUIRE_WAIT; default 30).")
  var acquireWait: Double?

  @Option(help: "Seconds between two signs of life of a batch (CHANCERY_PROGRESS_INTERVAL; default 1).")
  var progressInterval: Double?

  @Option(help: "Seconds without one until a batch is taken back (CHANCERY_PROGRESS_TIMEOUT; default 3).")
  var progressTimeout: Double?

  @Option(help: "Seconds between two heartbeats of a coordinator (CHANCERY_HEARTBEAT_INTERVAL; default 1).")
  var heartbeatInterval: Double?

  @Option(help: "Seconds without one until its batches are taken back (CHANCERY_HEARTBEAT_TIMEOUT; default 4).")
  var heartbeatTimeout: Double?

  /// The times, or a usage error that names what does not fit.
  func timing() throws -> Timing {
    var timing = Timing()
    timing.leaseTTL = try duration(leaseTTL, "lease-ttl", timing.leaseTTL)
    timing.leaseMargin = try duration(leaseMargin, "lease-margin", timing.leaseMargin)
    timing.acquireWait = try duration(acquireWait, "acquire-wait", timing.acquireWait)
    timing.progressInterval = try duration(progressInterval, "progress-interval", timing.progressInterval)
    timing.progressTimeout = try duration(progressTimeout, "progress-timeout", timing.progressTimeout)
    timing.heartbeatInterval = try duration(heartbeatInterval, "heartbeat-interval", timing.heartbeatInterval)
    timing.heartbeatTimeout = try duration(heartbeatTimeout, "heartbeat-timeout", timing.heartbeatTimeout)
    guard Timing.leaseTTLRange.contains(timing.leaseTTL) else {
      throw CommandFailure.usage("lease-ttl \(timing.leaseTTL) is not between 1 and 300 seconds")
    }
    try require(timing.leaseMargin, "lease-margin", isBelow: timing.leaseTTL, "lease-ttl")
    try require(timing.progressInterval, "progress-interval", isBelow: timing.progressTimeout, "progress-timeout")
    try require(timing.heartbeatInterval, "heartbeat-interval", isBelow: timing.heartbeatTimeout, "heartbeat-timeout")
    return timing
  }

  private func duration(_ flag: Double?, _ option: String, _ standard: Duration) throws -> Duration {
    let variable = "CHANCERY_" + option.uppercased().replacing("-", with: "_")
    guard let text = Settings.value(flag.map { "\($0)" }, variable: variable) else { return standard }
    guard let seconds = Double(text), seconds >= 0.001, seconds <= 3600 else {
      throw CommandFailure.usage("\(option) '\(text)' is not a number of seconds between 0.001 and 3600")
    }
    return .seconds(seconds)
  }

  private func require(_ less: Duration, _ name: String, isBelow more: Duration, _ limit: String) throws {
    guard less < more else {
      throw CommandFailure.usage("\(name) \(less) must be less than \(limit) \(more)")
    }
  }
}
