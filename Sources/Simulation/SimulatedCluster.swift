import CoordinatorService
import DedicatedThreads
public import Domain
import KeyKeeperService
public import RPC
public import RPCMemory
import SignerService
import Signing
public import Storage
import Synchronization
public import Telemetry
import TimeAndChance

/// A whole cluster inside one world: the services as they are shipped, over stores and a network in memory.
///
/// With Ed25519, whose signatures are always the same and of one size, everything that happens follows from the seed.
public final class SimulatedCluster: Sendable {
  /// What the cluster is made of.
  public struct Shape: Sendable {
    /// How many coordinators.
    public var coordinators = 1
    /// How many KeyKeepers.
    public var keyKeepers = 1
    /// How many signers.
    public var signers = 2
    /// Compute threads that each signer believes to have.
    public var threadsPerSigner = 1
    /// The times that all services agree on.
    public var timing = Timing()

    /// The defaults.
    public init() {}

    /// The processes that it has.
    var processNames: [String] {
      (0..<coordinators).map(SimulatedCluster.coordinator) + (0..<keyKeepers).map(SimulatedCluster.keyKeeper)
        + (0..<signers).map(SimulatedCluster.signer)
    }
  }

  /// Where everything is stored.
  public let database: MemoryDatabase
  /// The same as the services reach it.
  private let store: MemoryDatabase
  /// What everything is connected by.
  public let network: MemoryNetwork
  private let world: World
  private let shape: Shape
  private let observer: any Observer
  /// What stands for Redis.
  let cache: MemoryLeaseCache
  private let keyEncryptionKey: KeyEncryptionKey
  private let made = Mutex<[SimulatedProcess]>([])

  /// A cluster that does not run yet. `fate` decides about every delivery; with `sabotage` it breaks a promise.
  public init(
    world: World, shape: Shape = Shape(), observer: any Observer = NoObserver(), sabotage: Sabotage? = nil,
    fate: @escaping MemoryNetwork.FaultHook = { _, _ in .deliver(after: .zero) },
    storeFate: @escaping @Sendable () async -> StoreFate = { .made }
  ) throws {
    self.world = world
    self.shape = shape
    self.observer = observer
    database = MemoryDatabase(
      clock: world.clock, random: world.random, startedAt: Timestamp(rawValue: 0), sabotage: sabotage)
    store = database.faulty(storeFate)
    network = MemoryNetwork(executor: world.executor, clock: world.clock, fate: fate)
    cache = MemoryLeaseCache(clock: world.clock, sabotage: sabotage)
    keyEncryptionKey = try KeyEncryptionKey(root: try SecretBytes(randomCount: KeyEncryptionKey.byteCount))
    made.withLock { $0 = makeProcesses() }
  }

  /// The coordinators, the KeyKeepers, the signers.
  var processes: [SimulatedProcess] { made.withLock { $0 } }

  /// Runs all services while `body` runs, which gets channels to the first coordinator and the first KeyKeeper; then stops
  /// them at once. Must be called from a task of the world.
  public func run<Value: Sendable>(
    _ body: @escaping @Sendable (_ coordinator: any RPCChannel, _ keyKeeper: any RPCChannel) async throws -> Value
  ) async throws -> Value {
    for process in processes { process.start() }
    let result = await Task(executorPreference: world.executor) {
      try await withThrowingTaskGroup(of: Value?.self) { group in
        let coordinator = self.channel(from: "client", to: [Self.coordinator(0)])
        let keyKeeper = self.channel(from: "client", to: [Self.keyKeeper(0)])
        group.addTask { await Self.nothing(coordinator.run) }
        group.addTask { await Self.nothing(keyKeeper.run) }
        group.addTask { try await body(coordinator, keyKeeper) }
        defer { group.cancelAll() }
        while let ended = try await group.next() {
          if let value = ended { return value }
        }
        preconditionFailure("the body is one of the tasks")
      }
    }.result
    for process in processes { await process.end() }
    return try result.get()
  }

  private func makeProcesses() -> [SimulatedProcess] {
    let coordinators = (0..<shape.coordinators).map { index in
      SimulatedProcess(Self.coordinator(index), world: world) { [unowned self] host in
        var options = CoordinatorOptions()
        options.timing = shape.timing
        let coordinator = Coordinator(
          store: store, clock: world.clock, random: world.random, observer: observer, options: options)
        host.serve(router(coordinator.services), on: network)
        host.run(coordinator.run)
      }
    }
    let keyKeepers = (0..<shape.keyKeepers).map { index in
      SimulatedProcess(Self.keyKeeper(index), world: world) { [unowned self] host in
        let keyKeeper = KeyKeeper(
          store: store, cache: cache, keyEncryptionKey: keyEncryptionKey, compute: InlineCompute(),
          clock: world.clock, random: world.random, observer: observer)
        host.serve(router(keyKeeper.services), on: network)
        host.run(keyKeeper.run)
      }
    }
    let signers = (0..<shape.signers).map { index in
      let name = Self.signer(index)
      return SimulatedProcess(name, world: world) { [unowned self] host in
        let coordinators = (0..<shape.coordinators).map { channel(from: name, to: [Self.coordinator($0)]) }
        let keyKeeper = channel(from: name, to: (0..<shape.keyKeepers).map(Self.keyKeeper))
        var options = SignerOptions(name: name, threads: shape.threadsPerSigner)
        options.timing = shape.timing
        // Only the system's randomness can fail here, and it does not.
        let signer = try! Signer(
          coordinators: coordinators, keyKeeper: keyKeeper, compute: InlineCompute(), clock: world.clock,
          random: world.random, observer: observer, options: options)
        for channel in coordinators + [keyKeeper] { host.run(channel.run) }
        host.run(signer.run)
      }
    }
    return coordinators + keyKeepers + signers
  }

  private func router(_ services: [any RPCService]) -> RPCRouter {
    RPCRouter(services: services) { [observer] error, method in
      observer.event(.error, "rpc.unexpected_error", "\(method.path): \(error)", [:])
    }
  }

  private func channel(from source: String, to destinations: [String]) -> ClientChannel {
    ClientChannel(
      connectors: destinations.map { network.connector(from: source, to: $0) }, clock: world.clock, random: world.random
    )
  }

  static func coordinator(_ index: Int) -> String { "coordinator-\(index + 1)" }
  static func keyKeeper(_ index: Int) -> String { "keykeeper-\(index + 1)" }
  static func signer(_ index: Int) -> String { "signer-\(index + 1)" }

  /// Background work gives no value.
  private static func nothing<Value>(_ work: () async -> Void) async -> Value? {
    await work()
    return nil
  }
}
