import CoordinatorService
import Domain
import RPC
import RPCMemory
import Schema
import Simulation
import Storage
import Synchronization
import Telemetry
import Testing
import TimeAndChance

// Proves that what a signer leaves behind goes back to the store at once, though the call whose handler notices is being
// cancelled, and that a store which is away is told later. A real coordinator over a store and a network in memory; the signer
// is played by the test.
@Suite("Batches of a signer that is gone go back at once")
struct ReturnTests {
  @Test func aBrokenStreamGivesItsBatchesBack() throws {
    try run { rig in
      await rig.leaveWithABatch()
      try await rig.clock.sleep(for: .milliseconds(100))
      #expect(try await rig.store.batchesClaimed(by: rig.coordinator.id) == [])
    }
  }

  @Test func aStoreThatIsAwayIsToldLater() throws {
    try run { rig in
      await rig.leaveWithABatch(asTheStoreGoes: true)
      try await rig.clock.sleep(for: .seconds(10))
      #expect(try await rig.store.batchesClaimed(by: rig.coordinator.id).count == 1)
      rig.isAway.value.withLock { $0 = false }
      // The longest pause between two attempts, and a little more.
      try await rig.clock.sleep(for: .milliseconds(2500))
      #expect(try await rig.store.batchesClaimed(by: rig.coordinator.id) == [])
    }
  }

  private final class Flag: Sendable {
    let value = Mutex(false)
  }

  private struct Rig: Sendable {
    let clock: any ServiceClock
    /// As the test reads it: never away.
    let store: MemoryDatabase
    let coordinator: Coordinator
    let channel: ClientChannel
    let isAway: Flag

    /// Takes a batch as a signer does, and breaks its stream once it is there.
    func leaveWithABatch(asTheStoreGoes: Bool = false) async {
      let signer = SignerID(bytes: [UInt8](0..<16))!
      _ = try? await ChanceryV1.Batches.Client(channel).work { requests, responses in
        try await requests.write(
          .init(kind: .hello(.init(signerID: signer.description, name: "test", algorithms: [.ed25519]))))
        try await requests.write(.init(kind: .credit(.init(batches: 1, payloadBytes: 1 << 20))))
        while let response = try await responses.next() {
          guard case .end = response.kind else { continue }
          isAway.value.withLock { $0 = asTheStoreGoes }
          throw CancellationError()
        }
      }
    }
  }

  private func run(_ body: @escaping @Sendable (Rig) async throws -> Void) throws {
    let world = World(seed: 1)
    let store = MemoryDatabase(clock: world.clock, random: world.random, startedAt: Timestamp(rawValue: 0))
    let network = MemoryNetwork(executor: world.executor, clock: world.clock)
    let isAway = Flag()
    // Only what comes after the batch was given out fails.
    let faulty = store.faulty { isAway.value.withLock { $0 } ? .unavailable : .made }
    let coordinator = Coordinator(
      store: faulty, clock: world.clock, random: world.random, observer: NoObserver())
    _ = network.serve(RPCRouter(services: coordinator.services) { _, _ in }, as: "coordinator")
    let channel = ClientChannel(
      connectors: [network.connector(from: "signer", to: "coordinator")], clock: world.clock, random: world.random)
    try world.run {
      let key = NewKey(
        id: KeyID(rawValue: 1), algorithm: .ed25519, publicKey: [1], wrappedPrivateKey: [1], keyEncryptionKeyID: "k",
        label: "")
      _ = try await store.insert([key])
      _ = try await store.put([NewRecord(payload: [1], externalID: nil)])
      _ = try await store.submit(
        JobSubmission(
          id: try #require(JobID(bytes: world.random.nextUUID())), sourceName: Source.records, algorithm: .ed25519,
          batchSize: .default, priority: try #require(JobPriority(rawValue: 0)), idempotencyKey: nil))
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await coordinator.run() }
        group.addTask { await channel.run() }
        let rig = Rig(clock: world.clock, store: store, coordinator: coordinator, channel: channel, isAway: isAway)
        group.addTask { try await body(rig) }
        // The body is what ends.
        try await group.next()
        group.cancelAll()
      }
    }
  }
}
