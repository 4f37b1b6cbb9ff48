import DedicatedThreads
import Domain
import KeyKeeperService
import RPC
import RPCMemory
import Schema
import SignerService
import Signing
import Simulation
import Storage
import Synchronization
import Telemetry
import TestWorld
import Testing
import TimeAndChance
import Translation

// Proves what a signer does with a result whose answer never comes because its stream breaks: it sends the same result again,
// to whichever coordinator it has a stream to, with the key still leased; and gives it up when the lease would be too old. The
// signer and KeyKeeper are as shipped; the coordinators are played by the test.
@Suite("A result without an answer is sent again")
struct ResendTests {
  @Test func toAnotherCoordinator() throws {
    try run(coordinators: [.breaks, .answers]) { rig in
      let first = try await rig.result(of: 0)
      let second = try await rig.result(of: 1)
      #expect(first == second, "byte for byte, with the same lease")
      // Once it is answered, its key is free again.
      try await rig.clock.sleep(for: .seconds(1))
      #expect(try await rig.liveLeases() == 0)
    }
  }

  @Test func toTheSameCoordinatorWhenItIsBack() throws {
    try run(coordinators: [.breaksOnce]) { rig in
      let first = try await rig.result(of: 0)
      let second = try await rig.result(of: 0, number: 1)
      #expect(first == second)
      try await rig.clock.sleep(for: .seconds(1))
      #expect(try await rig.liveLeases() == 0)
    }
  }

  @Test func notForEver() throws {
    try run(coordinators: [.breaksForGood]) { rig in
      _ = try await rig.result(of: 0)
      try await rig.clock.sleep(for: .seconds(5))
      #expect(try await rig.liveLeases() == 1, "kept as long as the result may be sent again")
      #expect(rig.observer.gauge("chancery_leases_held") == 1)
      let left = try #require(rig.observer.gauge("chancery_lease_left_seconds"))
      #expect(left > 4 && left <= 9, "it was renewed, and lives for the time to live without the margin: \(left)")
      try await rig.clock.sleep(for: .seconds(10))
      #expect(try await rig.liveLeases() == 0)
      #expect(rig.observer.gauge("chancery_leases_held") == 0 && rig.observer.gauge("chancery_lease_left_seconds") == 0)
      #expect(rig.observer.gauge("chancery_signer_info", ["signer": rig.signer.description]) == 1)
    }
  }

  @Test func aSignerThatStopsDoesNotWaitForACoordinatorThatItCannotReach() throws {
    let world = World(seed: 1)
    let network = MemoryNetwork(executor: world.executor, clock: world.clock)
    let channels = ["coordinator", "keykeeper"].map { name in
      ClientChannel(
        connectors: [network.connector(from: "signer", to: name)], clock: world.clock, random: world.random)
    }
    let signer = try Signer(
      coordinators: [channels[0]], keyKeeper: channels[1], compute: InlineCompute(), clock: world.clock,
      random: world.random, observer: NoObserver(), options: SignerOptions(name: "signer", threads: 1))
    try world.run {
      await withTaskGroup(of: Void.self) { group in
        for channel in channels { group.addTask { await channel.run() } }
        group.addTask {
          try? await world.clock.sleep(for: .seconds(3))
          signer.drain()
        }
        let started = world.clock.now
        await signer.run()
        #expect(started.duration(to: world.clock.now) == .seconds(3))
        group.cancelAll()
      }
    }
  }

  // MARK: - The cluster

  /// What a coordinator does with the result of the batch that it gives out.
  private enum Manner: Sendable {
    /// Breaks the stream, and gives out nothing more.
    case breaks, breaksOnce
    /// Breaks the stream, and takes no other.
    case breaksForGood
    /// Gives out no batch, and answers that all is stored.
    case answers
  }

  private struct Result: Equatable {
    var signatures: [ChanceryV1.SignatureChunk] = []
    var end = ChanceryV1.BatchResult()
  }

  private final class Coordinator: ChanceryV1.Batches.Service {
    private struct State {
      var streams = 0
      var results: [Result] = []
    }

    private let manner: Manner
    private let state = Mutex(State())

    init(_ manner: Manner) { self.manner = manner }

    var results: [Result] { state.withLock { $0.results } }

    func work(
      _ requests: RPCReader<ChanceryV1.WorkRequest>, replies: RPCWriter<ChanceryV1.WorkResponse>,
      context: ServerContext
    ) async throws {
      let isFirst = state.withLock { state in
        state.streams += 1
        return state.streams == 1
      }
      if !isFirst, manner == .breaksForGood { throw RPCError(.unavailable, "gone for good") }
      if isFirst, manner != .answers {
        let batch = ChanceryV1.BatchRef(jobID: "00000000-0000-4000-8000-000000000001", seq: 3, attempt: 1)
        try await replies.write(.init(kind: .begin(.init(batch: batch, algorithm: .ed25519, count: 2))))
        try await replies.write(
          .init(kind: .records(.init(batch: batch, recordIds: [7, 8], payloadSizes: [1, 2], payloads: [1, 2, 3]))))
        try await replies.write(.init(kind: .end(.init(batch: batch))))
      }
      var result = Result()
      while let request = try await requests.next() {
        if case .signatures(let chunk) = request.kind { result.signatures.append(chunk) }
        guard case .result(let end) = request.kind else { continue }
        result.end = end
        state.withLock { $0.results.append(result) }
        if isFirst, manner != .answers { throw RPCError(.unavailable, "gone") }
        try await replies.write(.init(kind: .committed(.init(batch: end.batch, inserted: 2))))
      }
    }
  }

  private struct Rig: Sendable {
    let clock: any ServiceClock
    let store: MemoryDatabase
    let coordinators: [Coordinator]
    let signer: SignerID
    let observer: RecordingObserver

    /// The nth result that a coordinator got; fails when none comes in a while.
    func result(of coordinator: Int, number: Int = 0) async throws -> Result {
      for _ in 1...100 {
        let results = coordinators[coordinator].results
        if results.count > number { return results[number] }
        try await clock.sleep(for: .milliseconds(50))
      }
      throw RPCError(.deadlineExceeded, "coordinator \(coordinator) got no result \(number)")
    }

    func liveLeases() async throws -> Int {
      try await store.leaseStates([KeyID(rawValue: 1)]).count { $0.leaseID != nil && $0.remaining > .zero }
    }
  }

  private func run(coordinators manners: [Manner], _ body: @escaping @Sendable (Rig) async throws -> Void) throws {
    let world = World(seed: 1)
    let store = MemoryDatabase(clock: world.clock, random: world.random, startedAt: Timestamp(rawValue: 0))
    let network = MemoryNetwork(executor: world.executor, clock: world.clock)
    let keyKeeper = KeyKeeper(
      store: store, cache: MemoryLeaseCache(clock: world.clock),
      keyEncryptionKey: try KeyEncryptionKey(root: try SecretBytes(randomCount: KeyEncryptionKey.byteCount)),
      compute: InlineCompute(), clock: world.clock, random: world.random, observer: NoObserver())
    _ = network.serve(RPCRouter(services: keyKeeper.services) { _, _ in }, as: "keykeeper")
    let coordinators = manners.map(Coordinator.init)
    for (index, coordinator) in coordinators.enumerated() {
      _ = network.serve(RPCRouter(services: [coordinator]) { _, _ in }, as: "coordinator-\(index)")
    }
    let channels = (["keykeeper"] + coordinators.indices.map { "coordinator-\($0)" }).map { name in
      ClientChannel(
        connectors: [network.connector(from: "signer", to: name)], clock: world.clock, random: world.random)
    }
    let observer = RecordingObserver()
    let signer = try Signer(
      coordinators: Array(channels.dropFirst()), keyKeeper: channels[0], compute: InlineCompute(), clock: world.clock,
      random: world.random, observer: observer, options: SignerOptions(name: "signer", threads: 1))
    try world.run {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await keyKeeper.run() }
        for channel in channels { group.addTask { await channel.run() } }
        let request = ChanceryV1.GenerateKeysRequest(algorithm: .ed25519, count: 1)
        try await ChanceryV1.Keys.Client(channels[0]).generate(request) { made in for try await _ in made {} }
        group.addTask { await signer.run() }
        let rig = Rig(
          clock: world.clock, store: store, coordinators: coordinators, signer: signer.id, observer: observer)
        group.addTask { try await body(rig) }
        // The body is what ends.
        try await group.next()
        group.cancelAll()
      }
    }
  }
}
