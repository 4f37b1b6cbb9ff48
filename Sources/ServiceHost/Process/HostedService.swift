public import RPC
public import Telemetry

/// What a process runs, as its composition root puts it together. A graceful stop calls `drain`, closes the server,
/// calls `flush`, and cancels `run`, in this order.
public struct HostedService: Sendable {
  /// What it serves, besides health.
  public var services: [any RPCService]
  /// What it needs to do its work, for those who probe whether it is ready.
  public var needs: [ReadinessCheck]
  /// What its metrics mean.
  public var metrics: [MetricDescription]
  /// Its work in the background, until the task is cancelled. If it ends or throws before, the process stops and fails. It runs on
  /// an event loop of the process and must not block.
  public var run: (@Sendable () async throws -> Void)?
  /// Brings what is under way to an end while calls are still served and `run` runs. Long streams are to end here: what
  /// is left of them when the call timeout has passed is cut.
  public var drain: @Sendable () async -> Void
  /// Saves what was taken in, when no calls are served any more and `run` still runs.
  public var flush: @Sendable () async -> Void

  /// Puts a service together.
  public init(
    services: [any RPCService] = [], needs: [ReadinessCheck] = [], metrics: [MetricDescription] = [],
    run: (@Sendable () async throws -> Void)? = nil,
    drain: @escaping @Sendable () async -> Void = {}, flush: @escaping @Sendable () async -> Void = {}
  ) {
    self.services = services
    self.needs = needs
    self.metrics = metrics
    self.run = run
    self.drain = drain
    self.flush = flush
  }
}
