import DedicatedThreads
import Domain
import KeyKeeperService
import RPC
import RPCMemory
import Schema
import Signing
import Simulation
import Storage
import Telemetry
import TestWorld
import Testing
import TimeAndChance

/// KeyKeepers over one store and one lease cache in memory, each behind a network in memory, with a channel to it.
struct KeeperRig: Sendable {
  let executor: any TaskExecutor
  let clock: any ServiceClock
  let random: any RandomSource
  let database: MemoryDatabase
  let cache: MemoryLeaseCache
  let interposer: Interposer
  let observer: RecordingObserver
  let keepers: [KeyKeeper]
  let channels: [ClientChannel]

  /// Runs `body` in a world whose time passes only when nothing is left to do.
  static func run<Value: Sendable>(
    keepers: Int = 1, _ body: @escaping @Sendable (KeeperRig) async throws -> Value
  ) throws -> Value {
    try VirtualWorld.run { world in
      try await run(
        keepers, on: world.executor, world.clock, SeededRandom(seed: 1), fate: { _, _ in .deliver(after: .zero) }, body)
    }
  }

  /// Runs `body` in such a world where the order of all steps, and how long each delivery takes, follow from a seed.
  static func run<Value: Sendable>(
    seed: UInt64, keepers: Int = 1, _ body: @escaping @Sendable (KeeperRig) async throws -> Value
  ) throws -> Value {
    let world = World(seed: seed)
    return try world.run {
      try await run(
        keepers, on: world.executor, world.clock, world.random,
        fate: { _, _ in .deliver(after: .microseconds(world.random.next(below: 2000))) }, body)
    }
  }

  private static func run<Value: Sendable>(
    _ count: Int, on executor: any TaskExecutor, _ clock: any ServiceClock, _ random: any RandomSource,
    fate: @escaping MemoryNetwork.FaultHook, _ body: @Sendable (KeeperRig) async throws -> Value
  ) async throws -> Value {
    let database = MemoryDatabase(clock: clock, random: random, startedAt: Timestamp(rawValue: 1_700_000_000_000_000))
    let cache = MemoryLeaseCache(clock: clock)
    let interposer = Interposer()
    let observer = RecordingObserver()
    let keyEncryptionKey = try KeyEncryptionKey(root: try SecretBytes(randomCount: KeyEncryptionKey.byteCount))
    let network = MemoryNetwork(executor: executor, clock: clock, fate: fate)
    let keepers = (0..<count).map { _ in
      KeyKeeper(
        store: InterposedStore(base: database, interposer: interposer),
        cache: InterposedCache(base: cache, interposer: interposer), keyEncryptionKey: keyEncryptionKey,
        compute: InlineCompute(), clock: clock, random: random, observer: observer)
    }
    let channels = keepers.enumerated().map { index, keeper in
      _ = network.serve(RPCRouter(services: keeper.services) { _, _ in }, as: "keykeeper-\(index)")
      return ClientChannel(
        connectors: [network.connector(from: "signer", to: "keykeeper-\(index)")], clock: clock, random: random)
    }
    let rig = KeeperRig(
      executor: executor, clock: clock, random: random, database: database, cache: cache, interposer: interposer,
      observer: observer, keepers: keepers, channels: channels)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      for keeper in keepers { group.addTask { await keeper.run() } }
      for channel in channels { group.addTask { await channel.run() } }
      defer { group.cancelAll() }
      return try await body(rig)
    }
  }

  var keys: ChanceryV1.Keys.Client { ChanceryV1.Keys.Client(channels[0]) }

  func leases(_ keeper: Int = 0) -> ChanceryV1.Leases.Client { ChanceryV1.Leases.Client(channels[keeper]) }

  /// Lets everything happen that happens within `duration`.
  func pass(_ duration: Duration = .milliseconds(1)) async throws { try await clock.sleep(for: duration) }

  /// Starts something that the test can cancel.
  func start<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) -> Task<Value, any Error> {
    Task(executorPreference: executor) { try await body() }
  }

  @discardableResult
  func generate(
    _ count: UInt32, _ algorithm: ChanceryV1.Algorithm = .ed25519, label: String = ""
  ) async throws -> [ChanceryV1.Key] {
    try await keys.generate(.init(algorithm: algorithm, count: count, label: label)) { made in
      var keys: [ChanceryV1.Key] = []
      for try await key in made { keys.append(key) }
      return keys
    }
  }

  /// Acquires a lease as `holder` does; `wait` is the deadline of the call.
  func acquire(
    _ holder: Holder, at keeper: Int = 0, ttl: Duration = .zero, wait: Duration? = nil
  ) async throws -> ChanceryV1.Lease {
    try await leases(keeper).acquire(
      .init(
        algorithm: .ed25519, holder: holder.id, recipientPublicKey: holder.recipient.publicKey.bytes,
        ttlMs: UInt32(ttl / .milliseconds(1))), options: CallOptions(timeout: wait))
  }

  func renew(_ lease: ChanceryV1.Lease, at keeper: Int = 0, ttl: Duration = .zero) async throws -> UInt32 {
    try await leases(keeper).renew(
      .init(keyID: lease.keyID, leaseID: lease.leaseID, ttlMs: UInt32(ttl / .milliseconds(1)))
    ).ttlMs
  }

  func release(_ lease: ChanceryV1.Lease, at keeper: Int = 0) async throws {
    _ = try await leases(keeper).release(.init(keyID: lease.keyID, leaseID: lease.leaseID))
  }

  func get(_ id: Int64) async throws -> ChanceryV1.Key { try await keys.get(.init(keyID: id)) }

  func occupancy() async throws -> LeaseOccupancy? { try await cache.occupancy(.ed25519) }

  /// What the audit says of the order in which keys were granted, when all that was released is written down.
  func leastRecentlyUsed() async throws -> AuditReport.Finding {
    for keeper in keepers { await keeper.drain() }
    let findings = try await database.audit().findings
    return try #require(findings.first { $0.invariant == .leastRecentlyUsed })
  }

  func granted() -> Double { observer.counter("chancery_leases_granted_total", ["algorithm": "ed25519"]) }
}

/// A signer that leases keys.
final class Holder: Sendable {
  let id: String
  let recipient: LeaseRecipient

  init(_ number: Int = 0) throws {
    let digits = String(number)
    id = "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    recipient = try LeaseRecipient()
  }
}

/// Expects that `body` fails with `code`, and that the message says `text`.
func expect(
  _ code: StatusCode, _ text: String = "", sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () async throws -> Void
) async {
  let error = await #expect(throws: RPCError.self, sourceLocation: sourceLocation) { try await body() }
  guard let error else { return }
  #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  #expect(text.isEmpty || error.message.contains(text), "\(error)", sourceLocation: sourceLocation)
}
