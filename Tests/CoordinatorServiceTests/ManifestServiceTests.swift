import CoordinatorService
import Domain
import Manifest
import RPC
import RPCMemory
import Schema
import Signing
import Simulation
import Storage
import Telemetry
import Testing
import TimeAndChance

// Proves who gets a manifest and who does not: a coordinator needs a key for it and says how to give it one, a job must have ended,
// and what is sent ends with a seal of the injected time. A real coordinator over a store and a network in memory.
@Suite("A coordinator seals jobs that have ended")
struct ManifestServiceTests {
  @Test func withoutAKeyThereAreNoManifests() throws {
    try run(sealing: nil) { jobs, ended, _ in
      let error = await #expect(throws: RPCError.self) { try await lines(of: ended, jobs) }
      #expect(error?.code == .failedPrecondition && error?.message.contains("--manifest-key") == true)
    }
  }

  @Test func aJobMustHaveEnded() throws {
    try run(sealing: try sealing()) { jobs, _, running in
      let error = await #expect(throws: RPCError.self) { try await lines(of: running, jobs) }
      #expect(error?.code == .failedPrecondition && error?.message.contains("running") == true)
      let unknown = try #require(JobID(bytes: [UInt8](repeating: 9, count: 16)))
      #expect(await #expect(throws: RPCError.self) { try await lines(of: unknown, jobs) }?.code == .notFound)
    }
  }

  @Test func aJobWithoutSignaturesIsSealedAsSuch() throws {
    let sealing = try sealing()
    try run(sealing: sealing) { jobs, ended, _ in
      let text = try await lines(of: ended, jobs)
      let all = text.split(separator: "\n")
      #expect(all.count == 2 && all[0].hasPrefix(#"{"header":"#) && all[1].hasPrefix(#"{"seal":"#))
      #expect(text.hasSuffix("\n"))
      #expect(all[1].contains(#"signed_at_us 1700000000000000\n"#))
      // The root of no entries is the SHA-256 of nothing.
      #expect(all[1].contains("root e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    }
  }

  private func sealing() throws -> ManifestSealing {
    ManifestSealing(
      signer: try ManifestSigner(try PrivateKey.generate(.ed25519)),
      wallClock: { Timestamp(rawValue: 1_700_000_000_000_000) })
  }

  private func lines(of job: JobID, _ jobs: ChanceryV1.Jobs.Client) async throws -> String {
    try await jobs.manifest(.init(jobID: job.description)) { parts in
      var bytes: [UInt8] = []
      for try await part in parts { bytes += part.lines }
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Lends a coordinator with a job that was cancelled and one that runs.
  private func run(
    sealing: ManifestSealing?, _ body: @escaping @Sendable (ChanceryV1.Jobs.Client, JobID, JobID) async throws -> Void
  ) throws {
    let world = World(seed: 1)
    let store = MemoryDatabase(clock: world.clock, random: world.random, startedAt: Timestamp(rawValue: 0))
    let network = MemoryNetwork(executor: world.executor, clock: world.clock)
    var options = CoordinatorOptions()
    options.manifestSealing = sealing
    let coordinator = Coordinator(
      store: store, clock: world.clock, random: world.random, observer: NoObserver(), options: options)
    _ = network.serve(RPCRouter(services: coordinator.services) { _, _ in }, as: "coordinator")
    let channel = ClientChannel(
      connectors: [network.connector(from: "operator", to: "coordinator")], clock: world.clock, random: world.random)
    try world.run {
      let key = NewKey(
        id: KeyID(rawValue: 1), algorithm: .ed25519, publicKey: [1], wrappedPrivateKey: [1], keyEncryptionKeyID: "k",
        label: "")
      _ = try await store.insert([key])
      _ = try await store.put([NewRecord(payload: [1], externalID: nil)])
      var jobs: [JobID] = []
      for _ in 0..<2 {
        let submission = JobSubmission(
          id: try #require(JobID(bytes: world.random.nextUUID())), sourceName: Source.records, algorithm: .ed25519,
          batchSize: .default, priority: .default, idempotencyKey: nil)
        jobs.append(try await store.submit(submission).id)
      }
      _ = try await store.setState(jobs[0], to: .cancelled)
      try await withThrowingTaskGroup(of: Void.self) { [jobs] group in
        group.addTask { await coordinator.run() }
        group.addTask { await channel.run() }
        group.addTask { try await body(ChanceryV1.Jobs.Client(channel), jobs[0], jobs[1]) }
        // The body is what ends.
        try await group.next()
        group.cancelAll()
      }
    }
  }
}
