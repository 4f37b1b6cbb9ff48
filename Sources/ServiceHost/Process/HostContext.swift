import Domain
public import Logging
public import RPC
public import RPCTransport
public import Schema
import Synchronization
public import TimeAndChance

/// What a process lends to the service that it runs.
public final class HostContext: Sendable {
  /// What the process was told.
  public let configuration: HostConfiguration
  /// Who it is; its incarnation is new with every start.
  public let instance: ChanceryV1.ServiceInstance
  /// The process's log.
  public let logger: Logger
  /// The observer through which its services report.
  public let registry: MetricsRegistry
  /// Which of its services take calls: all of them, from the start to the stop, except those whose status was set
  /// before `serve`.
  public let health = HealthRegistry()
  /// Whether what the service needs can be used.
  let readiness: ReadinessMonitor
  /// Opened when the service has started.
  let hasStarted = Latch()
  /// Where the admin port listens.
  let admin = Mutex<Endpoint?>(nil)
  /// The threads for servers and channels.
  public let loops: EventLoops
  /// The system's clock.
  public let clock: any ServiceClock = ContinuousClock()
  /// The system's generator.
  public let random: any RandomSource = SystemRandom()
  /// Counts the calls that come in, and those that go out.
  let serverMeter: CallMeter
  private let clientMeter: CallMeter
  private let channels = Mutex<[ClientChannel]>([])

  init(_ configuration: HostConfiguration) {
    self.configuration = configuration
    logger = configuration.log.makeLogger(service: configuration.service, instance: configuration.name)
    registry = MetricsRegistry(logger: logger)
    serverMeter = CallMeter(.server, clock: clock)
    clientMeter = CallMeter(.client, clock: clock)
    readiness = ReadinessMonitor(clock: clock)
    registry.describe(Self.metrics)
    registry.add(serverMeter)
    registry.add(clientMeter)
    loops = EventLoops(threads: configuration.threads)
    instance = ChanceryV1.ServiceInstance(
      service: configuration.service, name: configuration.name,
      // 16 bytes always make an id.
      incarnation: UniqueID<HostContext>(bytes: SystemRandom().nextUUID())!.description,
      version: configuration.version)
  }

  /// A server that is gone without a word must be missed before leases end for want of renewal.
  private static let keepalive = Keepalive(interval: .seconds(10), timeout: .seconds(5))

  /// A channel to the first of `endpoints` that answers, which is kept connected while `serve` runs. To be made before.
  public func channel(to endpoints: [Endpoint], backoff: Backoff = Backoff()) -> any RPCChannel {
    var limits = ConnectionLimits()
    limits.keepalive = Self.keepalive
    let connectors = endpoints.map { endpoint in
      TCPConnector(endpoint: endpoint, loops: loops, clock: clock, limits: limits, tls: configuration.tls)
    }
    let channel = ClientChannel(connectors: connectors, clock: clock, random: random, backoff: backoff)
    channels.withLock { $0.append(channel) }
    return InterceptingChannel(channel, [clientMeter])
  }

  /// Keeps the channels connected until `stop` opens or the task is cancelled.
  func runChannels(until stop: Latch) async {
    await withTaskGroup(of: Void.self) { group in
      for channel in channels.withLock({ $0 }) { group.addTask { await channel.run() } }
      await stop.wait()
      group.cancelAll()
    }
  }
}
