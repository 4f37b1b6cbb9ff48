import ArgumentParser
import CoordinatorService
import DedicatedThreads
import Domain
import KeyKeeperService
import LoggerService
import Manifest
import RPC
import RPCMemory
import RPCTransport
import ServiceHost
import SignerService
import Signing
import Storage
import TimeAndChance

/// A whole cluster inside this process, over stores in memory: it needs neither Postgres nor Redis, and keeps nothing.
///
/// Signers reach the other services over `RPCMemory`; clients reach them over loopback ports, as they do any cluster.
final class MemoryCluster: Sendable {
  private static let coordinatorName = "coordinator-1"
  private static let keyKeeperName = "keykeeper-1"

  private let port: Int
  private let signers: Int
  private let log: LogConfiguration
  private let clock = ContinuousClock()
  private let random = SystemRandom()
  private let database: MemoryDatabase
  private let loops = EventLoops()
  private let network: MemoryNetwork
  /// Opened to stop all services gracefully.
  private let stop = Latch()

  private init(port: Int, signers: Int) throws(ConfigurationError) {
    // The services share one standard error with the command: what goes well is not told.
    log = try LogConfiguration(level: "warning", format: "auto")
    self.port = port
    self.signers = signers
    database = MemoryDatabase(clock: clock, random: random, startedAt: .now())
    network = MemoryNetwork(executor: loops.executor, clock: clock)
  }

  /// Runs a cluster, whose services listen on three ports from `port` on, until `body` returns, which is called when
  /// they do. Throws the exit code of a service that failed; its log says why.
  static func with(port: Int, signers: Int, _ body: @escaping @Sendable () async -> Void) async throws {
    let cluster = try MemoryCluster(port: port, signers: signers)
    let status = await cluster.run(body)
    await cluster.loops.shutdown()
    if status != .success { throw ExitCode(status.rawValue) }
  }

  /// Returns the status of the first service that failed.
  private func run(_ body: @escaping @Sendable () async -> Void) async -> ExitStatus {
    let (ready, announce) = AsyncStream<Void>.makeStream()
    let services = 3 + signers
    return await withTaskGroup(of: ExitStatus.self) { group in
      group.addTask { await self.runLogger { announce.yield() } }
      group.addTask { await self.runCoordinator { announce.yield() } }
      group.addTask { await self.runKeyKeeper { announce.yield() } }
      for index in 0..<signers { group.addTask { await self.runSigner("signer-\(index + 1)") { announce.yield() } } }
      group.addTask {
        var left = services
        for await _ in ready {
          left -= 1
          if left == 0 { break }
        }
        if !self.stop.isOpen { try? await self.stop.cancelling { await body() } }
        return .success
      }
      var failure = ExitStatus.success
      for await status in group {
        if failure == .success { failure = status }
        // Whatever ends, the work of the others has no use any more.
        stop.open()
        announce.finish()
      }
      return failure
    }
  }
}

// MARK: - Services

extension MemoryCluster {
  private func runLogger(_ onReady: @escaping @Sendable () -> Void) async -> ExitStatus {
    var configuration = configuration(.logger, "logger", onReady)
    configuration.telemetry = .own
    return await ServiceProcess.run(configuration) { host in
      try await host.serve(
        LoggerCore(
          store: database, clock: clock, random: random, observer: host.registry, wallClock: { Timestamp.now() }))
    }
  }

  private func runCoordinator(_ onReady: @escaping @Sendable () -> Void) async -> ExitStatus {
    let configuration = configuration(.coordinator, Self.coordinatorName, onReady)
    return await ServiceProcess.run(configuration) { host in
      var options = CoordinatorOptions()
      // As all else here, the key is gone with the process.
      options.manifestSealing = ManifestSealing(
        signer: try ManifestSigner(try PrivateKey.generate(.ecdsaP256)), wallClock: { Timestamp.now() })
      let coordinator = Coordinator(
        store: database, clock: clock, random: random, observer: host.registry, options: options)
      _ = network.serve(host.router(of: coordinator.services), as: Self.coordinatorName)
      try await host.serve(coordinator)
    }
  }

  private func runKeyKeeper(_ onReady: @escaping @Sendable () -> Void) async -> ExitStatus {
    let configuration = configuration(.keykeeper, Self.keyKeeperName, onReady)
    return await ServiceProcess.run(configuration) { host in
      let compute = try ComputePool(name: "keys")
      let keyKeeper = KeyKeeper(
        store: database, cache: MemoryLeaseCache(clock: clock),
        keyEncryptionKey: try KeyEncryptionKey(root: try SecretBytes(randomCount: KeyEncryptionKey.byteCount)),
        compute: compute, clock: clock, random: random, observer: host.registry)
      _ = network.serve(host.router(of: keyKeeper.services), as: Self.keyKeeperName)
      try await host.serve(keyKeeper)
      await compute.shutDown()
    }
  }

  private func runSigner(_ name: String, _ onReady: @escaping @Sendable () -> Void) async -> ExitStatus {
    await ServiceProcess.run(configuration(.signer, name, onReady)) { host in
      let threads = max(1, ComputePool.availableCores / signers)
      let compute = try ComputePool(threads: threads, name: "sign")
      let channels = [Self.coordinatorName, Self.keyKeeperName].map { target in
        ClientChannel(connectors: [network.connector(from: name, to: target)], clock: clock, random: random)
      }
      let signer = try Signer(
        coordinators: [channels[0]], keyKeeper: channels[1], compute: compute, clock: clock, random: random,
        observer: host.registry, options: SignerOptions(name: name, threads: threads))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for channel in channels { group.addTask { await channel.run() } }
        try await host.serve(signer)
        group.cancelAll()
      }
      await compute.shutDown()
    }
  }

  private func configuration(
    _ kind: ServiceKind, _ name: String, _ onReady: @escaping @Sendable () -> Void
  ) -> HostConfiguration {
    var configuration = HostConfiguration(
      service: kind.rawValue, name: name, version: Version.number, listen: endpoint(of: kind))
    if let logger = endpoint(of: .logger) { configuration.telemetry = .endpoints([logger]) }
    configuration.log = log
    configuration.trapsSignals = false
    configuration.stop = stop
    configuration.onReady = { _, _ in onReady() }
    return configuration
  }

  private func endpoint(of kind: ServiceKind) -> Endpoint? {
    kind.portOffset.map { .tcp(host: "127.0.0.1", port: port + $0) }
  }
}
