import Glibc
import Logging
import RPC
import RPCTransport
import Schema
import ServiceHost
import Storage
import Telemetry
import TestWorld
import Testing
import TimeAndChance

/// A service as a process, over real sockets: what a graceful stop does and in which order, what ends it at once, and with
/// which status. Where the process must end, it is one of its own.
@Suite struct ServiceProcessTests {
  private typealias Status = ServiceHost.ExitStatus

  private static func configuration(
    listen: Endpoint? = .tcp(host: "127.0.0.1", port: 0), log: LogConfiguration = LogConfiguration(level: .critical)
  ) -> HostConfiguration {
    var configuration = HostConfiguration(service: "test", name: "t-1", version: "1", listen: listen)
    configuration.log = log
    configuration.trapsSignals = false
    return configuration
  }

  /// What the server at an address says of its health; nil if nothing answers there.
  private static func health(at endpoint: Endpoint) async -> ChanceryV1.HealthCheckResponse.ServingStatus? {
    let loops = EventLoops()
    let channel = ClientChannel(connectors: [TCPConnector(endpoint: endpoint, loops: loops)])
    let status = await withTaskGroup(of: Void.self) { group in
      group.addTask { await channel.run() }
      defer { group.cancelAll() }
      return try? await ChanceryV1.Health.Client(channel).check(.init()).status
    }
    await loops.shutdown()
    return status
  }

  /// Drain, while calls are still served and health says no; then the server closes; flush; the work in the background is
  /// cancelled; and Logger hears of all that.
  @Test func aGracefulStopGoesInOrder() async throws {
    let loops = EventLoops()
    let logger = LoggerDouble()
    let loggerServer = TCPServer(router: RPCRouter(services: [logger]) { _, _ in }, loops: loops)
    let loggerAddress = try await loggerServer.listen(at: .tcp(host: "127.0.0.1", port: 0))

    let steps = Trace<String>()
    let address = Trace<Endpoint>()
    var configuration = Self.configuration()
    configuration.telemetry = .endpoints([loggerAddress])
    let isServing = Latch()
    configuration.onReady = { endpoint, _ in
      address.append(endpoint!)
      isServing.open()
    }
    let stop = configuration.stop
    let status = await ServiceProcess.run(configuration) { host in
      try await host.serve(
        HostedService(
          run: {
            await isServing.wait()
            let health = await Self.health(at: address.entries[0])
            steps.append("ready: \(health, default: "gone")")
            stop.open()
            await Latch().wait()
            steps.append("run is cancelled: \(Task.isCancelled)")
            host.registry.event(.info, "last.words", "bye", [:])
          },
          drain: {
            let health = await Self.health(at: address.entries[0])
            steps.append("drain: \(health, default: "gone")")
          },
          flush: {
            let health = await Self.health(at: address.entries[0])
            steps.append("flush: \(health, default: "gone")")
          }))
    }
    await loggerServer.shutdown()
    await loops.shutdown()
    #expect(status == .success)
    #expect(steps.entries == ["ready: serving", "drain: notServing", "flush: gone", "run is cancelled: true"])
    #expect(logger.eventNames == ["service.started", "service.stopping", "last.words"])
  }

  @Test func workThatEndsStopsTheServiceAndFails() async throws {
    struct Broken: Error {}
    try await expectStop("ended by itself") {}
    try await expectStop("Broken") { throw Broken() }
  }

  private func expectStop(_ text: String, _ work: @escaping @Sendable () async throws -> Void) async throws {
    let steps = Trace<String>()
    let lines = try await capture { output in
      let log = LogConfiguration(level: .critical, format: .json, output: output)
      let status = await ServiceProcess.run(Self.configuration(log: log)) { host in
        try await host.serve(
          HostedService(run: work, drain: { steps.append("drain") }, flush: { steps.append("flush") }))
      }
      #expect(status == .failed)
    }
    #expect(steps.entries == ["drain", "flush"])
    #expect(lines.count == 1 && lines[0].contains(text) && lines[0].contains(#""exit_status":"1""#), "\(lines)")
  }

  // MARK: - Not starting

  @Test func aPortInUseIsNamed() async throws {
    let loops = EventLoops()
    let other = TCPServer(router: RPCRouter(services: []) { _, _ in }, loops: loops)
    let taken = try await other.listen(at: .tcp(host: "127.0.0.1", port: 0))
    try await expectFailure(.failed, "cannot listen on \(taken): ", listen: taken)
    await other.shutdown()
    await loops.shutdown()
  }

  @Test(arguments: ["0.0.0.0", "::", "192.0.2.1", "example.org"])
  func anAddressThatOthersCouldReachIsRefused(host: String) async throws {
    let endpoint = Endpoint.tcp(host: host, port: 0)
    try await expectFailure(.failed, "cannot listen on \(endpoint): ", "no TLS; use 127.0.0.1", listen: endpoint)
  }

  /// From before the service is opened until after it is closed; a service that is draining is alive, and not ready.
  @Test func theAdminPortOutlivesTheService() async throws {
    var configuration = Self.configuration()
    configuration.admin = .tcp(host: "127.0.0.1", port: 0)
    let port = Trace<Int>()
    let isReady = Latch()
    configuration.onReady = { _, admin in
      if case .tcp(_, let number) = admin { port.append(number) }
      isReady.open()
    }
    let steps = Trace<String>()
    let look: @Sendable (String) -> Void = { when in
      for probe in ["livez", "startupz", "readyz"] {
        let answer = try? RawConnection.request("/\(probe)", port: port.entries[0])
        steps.append("\(when): \(probe) \(answer?.status ?? 0)")
      }
    }
    let stop = configuration.stop
    let status = await ServiceProcess.run(configuration) { host in
      try await host.serve(
        HostedService(
          needs: [ReadinessCheck("nothing") {}],
          run: {
            await isReady.wait()
            // Elsewhere than on the loop that answers.
            let looking = Task.detached {
              let limit = ContinuousClock.now + .seconds(30)
              while try RawConnection.request("/readyz/nothing", port: port.entries[0]).status != 200 {
                try #require(ContinuousClock.now < limit)
              }
              look("run")
            }
            try await looking.value
            stop.open()
            await Latch().wait()
          }, drain: { look("drain") }, flush: { look("flush") }))
      look("closed")
    }
    #expect(status == .success)
    let running = ["run: livez 200", "run: startupz 200", "run: readyz 200"]
    let stopping = ["drain", "flush", "closed"].flatMap {
      ["\($0): livez 200", "\($0): startupz 200", "\($0): readyz 503"]
    }
    #expect(steps.entries == running + stopping)
    #expect(throws: RawConnection.Failure.self) { try RawConnection(port: port.entries[0]) }
  }

  @Test func anAdminPortInUseIsNamed() async throws {
    let loops = EventLoops()
    let other = TCPServer(router: RPCRouter(services: []) { _, _ in }, loops: loops)
    let taken = try await other.listen(at: .tcp(host: "127.0.0.1", port: 0))
    let lines = try await capture { output in
      var configuration = Self.configuration(log: LogConfiguration(level: .critical, format: .json, output: output))
      configuration.admin = taken
      #expect(await ServiceProcess.run(configuration) { _ in Issue.record("it opens the service") } == .failed)
    }
    #expect(
      lines.count == 1 && lines[0].contains("the admin port (--admin-listen): cannot listen on \(taken): the address"))
    await other.shutdown()
    await loops.shutdown()
  }

  private func expectFailure(_ expected: Status, _ texts: String..., listen: Endpoint) async throws {
    let lines = try await capture { output in
      let log = LogConfiguration(level: .critical, format: .json, output: output)
      let status = await ServiceProcess.run(Self.configuration(listen: listen, log: log)) { host in
        try await host.serve(HostedService(run: { Issue.record("it runs") }, drain: { Issue.record("it drains") }))
      }
      #expect(status == expected)
    }
    let line = try #require(lines.first)
    #expect(lines.count == 1)
    for text in texts { #expect(line.contains(text), "\(line)") }
  }

  @Test func statuses() {
    #expect(Status(ConfigurationError(option: "a", value: "b", reason: "c")) == .usage)
    let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: "nonsense") }
    #expect(error.map { Status($0) } == .usage)
    #expect(Status(StorageError(.schemaMismatch, "migrate")) == .serverFailed)
    #expect(Status(RPCError(.unavailable, "gone")) == .serverFailed)
    #expect(Status(RPCError(.internal, "bug")) == .failed)
    #expect(Status.signal(SIGINT).rawValue == 130 && Status.signal(SIGTERM).rawValue == 143)
    #expect([Status.success, .failed, .serverFailed, .timeout, .usage].map(\.rawValue) == [0, 1, 2, 5, 64])
  }

  // MARK: - Signals, each in a process of its own

  @Test func aSignalStopsGracefully() async {
    for number in [SIGTERM, SIGINT] {
      await #expect(processExitsWith: .exitCode(77)) { [number = number as Int32] in
        var configuration = Self.configuration()
        configuration.trapsSignals = true
        configuration.onReady = { _, _ in kill(getpid(), number) }
        let flushed = Latch()
        let status = await ServiceProcess.run(configuration) { host in
          try await host.serve(HostedService(flush: { flushed.open() }))
        }
        exit(status == .success && flushed.isOpen ? 77 : 1)
      }
    }
  }

  @Test func aSecondSignalEndsAtOnce() async {
    await #expect(processExitsWith: .exitCode(143)) { await Self.stall(SIGTERM, SIGTERM) }
    await #expect(processExitsWith: .exitCode(130)) { await Self.stall(SIGTERM, SIGINT) }
  }

  @Test func theGracePeriodIsTheEnd() async {
    await #expect(processExitsWith: .exitCode(5)) { await Self.stall(SIGTERM, nil, gracePeriod: .milliseconds(50)) }
  }

  /// A service whose drain never ends gets two signals.
  private static func stall(_ first: Int32, _ second: Int32?, gracePeriod: Duration = .seconds(60)) async {
    var configuration = configuration()
    configuration.trapsSignals = true
    configuration.gracePeriod = gracePeriod
    configuration.onReady = { _, _ in kill(getpid(), first) }
    _ = await ServiceProcess.run(configuration) { host in
      try await host.serve(
        HostedService(drain: {
          if let second { kill(getpid(), second) }
          await Latch().wait()
        }))
    }
  }
}
