import Logging
public import RPC
import RPCTransport
import ServiceLifecycle
import Telemetry
import TimeAndChance
import UnixSignals

/// The background work of a service ended although nothing had asked it to.
struct ServiceEnded: Error, CustomStringConvertible {
  var description: String { "its work in the background ended by itself" }
}

extension HostContext {
  /// Serves `service`, with health, until a signal or `configuration.stop` asks for a stop, which is graceful:
  /// 1. health says that nothing serves; 2. the service is drained; 3. the server closes; 4. the service is flushed;
  /// 5. its background work is cancelled; 6. the last metrics and events are reported; 7. the channels close.
  ///
  /// If that takes longer than the grace period, or a second signal comes, the process ends there and then. Throws
  /// `ListenError` if it cannot listen, and what the background work throws, after a graceful stop of the rest.
  public func serve(_ service: HostedService) async throws {
    registry.describe(service.metrics)
    readiness.set(service.needs)
    let router = router(of: service.services)
    let server = Server(router: router, service: service, host: self)
    try await server.listen()
    let reporter = reporter(address: server.address)
    // What is first in the list stops last.
    let stages = [
      stage("channels") { stop in await self.runChannels(until: stop) },
      stage("readiness") { stop in
        guard self.configuration.admin != nil else { return await stop.wait() }
        try await stop.cancelling { await self.readiness.run() }
      },
      stage("telemetry") { stop in
        guard let reporter else { return await stop.wait() }
        await reporter.run(until: stop)
      },
      stage("service") { stop in
        // Where its calls come in and go out: what it does between them then needs no other thread.
        try await withTaskExecutorPreference(self.loops.executor) { try await service.run(until: stop) }
      },
      stage("server") { stop in await server.run(until: stop) },
    ]
    let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: stages, logger: logger))
    try await supervise(group, stopping: server.stopping)
  }

  /// What serves `services`, with health and reflection; an error that their methods did not expect goes to the log.
  public func router(of services: [any RPCService]) -> RPCRouter {
    let access = configuration.tls == nil ? AccessPolicy.open : AccessTable.policy
    let services: [any RPCService] = [HealthEndpoint(health)] + services
    return RPCRouter(
      services: services + [ReflectionEndpoint(services)], access: access, interceptors: [serverMeter]
    ) { [registry] error, method in
      registry.event(.error, "rpc.unexpected_error", "\(method.path): \(error)", [:])
    }
  }

  private func reporter(address: Endpoint?) -> TelemetryReporter? {
    let endpoints =
      switch configuration.telemetry {
      case .none: [Endpoint]()
      case .endpoints(let endpoints): endpoints
      case .own: address.map { [$0] } ?? []
      }
    guard !endpoints.isEmpty else { return nil }
    var options = TelemetryReporter.Options()
    // Its own server has closed by then: nobody would hear it.
    if case .own = configuration.telemetry { options.flushTimeout = .zero }
    let channel = channel(to: endpoints, backoff: TelemetryReporter.channelBackoff)
    return TelemetryReporter(
      instance: instance, registry: registry, channel: channel, clock: clock, random: random, options: options)
  }

  /// A part of the process that runs until its latch opens. When one fails, all stop gracefully.
  private func stage(
    _ name: String, _ body: @escaping @Sendable (Latch) async throws -> Void
  ) -> ServiceGroupConfiguration.ServiceConfiguration {
    let service = ClosureService {
      let stop = Latch()
      try await withGracefulShutdownHandler {
        try await body(stop)
      } onGracefulShutdown: {
        stop.open()
      }
    }
    return ServiceGroupConfiguration.ServiceConfiguration(
      service: service, failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: name)
  }

  /// Runs the group, stops it when asked, and ends the process if stopping takes too long.
  private func supervise(_ group: ServiceGroup, stopping: Latch) async throws {
    let signals = configuration.trapsSignals ? await UnixSignalsSequence(trapping: .sigterm, .sigint) : nil
    try await withThrowingTaskGroup(of: Bool.self) { tasks in
      tasks.addTask {
        try await group.run()
        return true
      }
      tasks.addTask {
        if let signals { await self.obey(signals, group) }
        return false
      }
      tasks.addTask {
        await self.configuration.stop.wait()
        if !Task.isCancelled { await group.triggerGracefulShutdown() }
        return false
      }
      tasks.addTask {
        await stopping.wait()
        guard (try? await self.clock.sleep(for: self.configuration.gracePeriod)) != nil else { return false }
        let period = self.configuration.gracePeriod
        ServiceProcess.end("it did not stop within \(period)", self, .timeout)
      }
      while try await tasks.next() == false {}
      tasks.cancelAll()
    }
  }

  private func obey(_ signals: UnixSignalsSequence, _ group: ServiceGroup) async {
    var isFirst = true
    for await signal in signals {
      guard isFirst else { ServiceProcess.end("a second signal, \(signal)", self, .signal(signal.rawValue)) }
      isFirst = false
      logger.info("stopping", metadata: ["signal": "\(signal)"])
      await group.triggerGracefulShutdown()
    }
  }
}

extension HostedService {
  /// Runs the background work.
  fileprivate func run(until stop: Latch) async throws {
    guard let run else { return await stop.wait() }
    do {
      try await stop.cancelling { try await run() }
    } catch is CancellationError where stop.isOpen {
      return
    }
    if !stop.isOpen && !Task.isCancelled { throw ServiceEnded() }
  }
}

extension TelemetryReporter {
  /// Reports, and flushes at the end.
  fileprivate func run(until stop: Latch) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.run() }
      await stop.wait()
      if !Task.isCancelled { await flush() }
      group.cancelAll()
    }
  }
}
