import Domain
import RPC
import Schema
import Signing
import Storage
import Synchronization
import TimeAndChance
import Translation

/// What comes over the cluster of one run, and what is looked at.
final class Storm: Sendable {
  private let cluster: SimulatedCluster
  private let network: FaultyNetwork
  private let database: FaultyDatabase
  private let world: World
  private let chronicle: Chronicle
  private let size: SimulatedRun.Size
  private let scenario: Scenario
  /// The longest that a delivery takes when nothing is wrong: long enough that faults meet work under way.
  private static let usualDelay: Duration = .milliseconds(300)
  private let counts = Mutex<[Fault: Int]>([:])
  private let found = Mutex<[String]>([])
  /// What was signed at the last look.
  private let seen = Mutex<[RecordID: [UInt8]]>([:])

  init(
    cluster: SimulatedCluster, network: FaultyNetwork, database: FaultyDatabase, world: World, chronicle: Chronicle,
    size: SimulatedRun.Size, scenario: Scenario
  ) {
    self.cluster = cluster
    self.network = network
    self.database = database
    self.world = world
    self.chronicle = chronicle
    self.size = size
    self.scenario = scenario
  }

  /// How often each fault came; of resets and partitions, how many deliveries they hit.
  var faults: [Fault: Int] { counts.withLock { $0 } }

  /// Signs all records while faults come; returns what did not hold.
  func play(_ coordinator: any RPCChannel, _ keyKeeper: any RPCChannel) async throws -> [String] {
    let request = ChanceryV1.GenerateKeysRequest(algorithm: .ed25519, count: UInt32(size.keys))
    try await ChanceryV1.Keys.Client(keyKeeper).generate(request) { made in for try await _ in made {} }
    let count = scenario.records
    _ = try await ChanceryV1.Records.Client(coordinator).put { writer in
      try await writer.write(
        .init(records: (0..<count).map { .init(payload: Array("record \($0)".utf8), externalID: "r\($0)") }))
    }
    let job = try await ChanceryV1.Jobs.Client(coordinator).submit(
      .init(algorithm: .ed25519, batchSize: UInt32(size.batchSize)))
    guard let id = JobID(job.jobID) else { return ["the job has no id"] }
    network.slow(to: Self.usualDelay)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.blow(job: id) }
      group.addTask { try await self.watch() }
      // The faults end first; the looks go on until they are cancelled.
      try await group.next()
      group.cancelAll()
      while let next = await group.nextResult() {
        if case .failure(let error) = next, !(error is CancellationError) { throw error }
      }
    }
    await calm()
    try await awaitEnd(of: id)
    await look(isLast: true)
    return found.withLock { $0 }
  }

  // MARK: Faults

  /// The faults, each in its time, until the last is over.
  private func blow(job: JobID) async throws {
    let start = world.clock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for fault in scenario.faults {
        let wait = world.clock.now.duration(to: start.advanced(by: fault.at))
        if wait > .zero { try await world.clock.sleep(for: wait) }
        chronicle.add("fault \(fault)")
        group.addTask { try await self.inflict(fault, job) }
      }
      try await group.waitForAll()
    }
  }

  private func inflict(_ planned: PlannedFault, _ job: JobID) async throws {
    func hit(_ count: Int = 1) { counts.withLock { $0[planned.fault, default: 0] += count } }
    func wait() async throws { try await world.clock.sleep(for: planned.duration) }
    func victim() -> SimulatedProcess { cluster.processes.first { $0.name == planned.targets[0] }! }
    switch planned.fault {
    case .coordinatorKilled, .keyKeeperKilled, .signerKilled:
      guard victim().kill() else { return }
      hit()
      try await wait()
      victim().start()
    case .coordinatorStopped, .keyKeeperStopped, .signerStopped:
      victim().pause()
      hit()
      try await wait()
      victim().resume()
    case .cacheForgets:
      cluster.cache.forget()
      hit()
    case .partition, .oneWayPartition:
      let before = network.hits.held
      network.cut(
        planned.targets[0], planned.targets[1], bothWays: planned.fault == .partition, for: planned.duration)
      try await wait()
      // Others may be cut at this time too; a cut between two that say nothing hits nothing.
      hit(network.hits.held - before)
    case .resets:
      let before = network.hits.resets
      network.reset(oneOf: planned.amount)
      try await wait()
      network.reset(oneOf: 0)
      hit(network.hits.resets - before)
    case .slowNetwork:
      network.slow(to: .milliseconds(planned.amount))
      try await wait()
      network.slow(to: Self.usualDelay)
      hit()
    case .databaseAway:
      let before = database.hits
      database.setAway(true)
      try await wait()
      database.setAway(false)
      hit(database.hits - before)
    case .databaseUnsure:
      let before = database.hits
      database.lose(oneOf: planned.amount)
      try await wait()
      database.lose(oneOf: 0)
      hit(database.hits - before)
    case .keyDisabled:
      let key = KeyID(rawValue: Int64(planned.amount))
      guard (try? await cluster.database.setState(key, to: .disabled)) != nil else { return }
      hit()
      try await wait()
      _ = try await cluster.database.setState(key, to: .active)
    case .jobPaused:
      guard (try? await cluster.database.setState(job, to: .paused)) != nil else { return }
      hit()
      try await wait()
      // It may be done by now.
      _ = try? await cluster.database.setState(job, to: .running)
    }
  }

  private func calm() async {
    network.heal()
    database.heal()
    for process in cluster.processes { process.resume() }
    chronicle.add("calm")
  }

  // MARK: Looks

  /// Looks again and again, until cancelled.
  private func watch() async throws {
    while true {
      try await world.clock.sleep(for: .milliseconds(700))
      await look(isLast: false)
    }
  }

  /// What must hold at every moment, and at the end.
  private func look(isLast: Bool) async {
    do {
      for finding in try await cluster.database.audit().findings where finding.violations > 0 {
        complain("promise \(finding.invariant.rawValue): \(finding.examples.first ?? "")")
      }
      guard let source = try await cluster.database.source(named: Source.records) else { return }
      let query = SignatureQuery(source: source, job: nil, includesPayload: isLast)
      let signatures = try await cluster.database.signatures(query, after: nil, maximumBytes: 1 << 30)
      checkKept(signatures)
      try checkAnswers()
      if let failed = try cluster.database.failedBatches().first {
        complain("promise 1: \(failed) was charged with a failure of its own, and none of its records can fail")
      }
      if isLast { try await verify(signatures) }
    } catch let error as StorageError where error.code == .cancelled && !isLast {
      // The faults are over, and so are the looks between them.
    } catch {
      complain("the store cannot be read: \(error)")
    }
  }

  /// Promise 8: what was signed is still signed, with the same bytes.
  private func checkKept(_ signatures: [StoredSignature]) {
    let now = Dictionary(signatures.map { ($0.recordID, $0.signature) }) { first, _ in first }
    let before = seen.withLock { seen in
      defer { seen = now }
      return seen
    }
    for (record, signature) in before where now[record] != signature {
      return complain("promise 8: the signature of record \(record) is gone or changed")
    }
  }

  /// Promises 8 and 12: what a signer was told is stored is stored, and what it was told is refused is not.
  private func checkAnswers() throws {
    let stored = try cluster.database.signingProofs()
    let (told, refused) = chronicle.answers
    if let lost = told.first(where: { !stored.contains($0) }) {
      complain("promise 8: a signer was told that \(lost.batch) is stored, and it is not")
    }
    if let denied = refused.first(where: stored.contains) {
      complain("promise 12: a signer was told that \(denied.batch) is refused, and it is stored")
    }
  }

  /// Promises 1 and 3: every record is signed, and every signature verifies with the key named.
  private func verify(_ signatures: [StoredSignature]) async throws {
    if signatures.count != scenario.records {
      complain("promise 1: \(signatures.count) of \(scenario.records) records are signed")
    }
    let keys = try await cluster.database.keys(algorithm: nil, after: nil, limit: 1000)
    for signature in signatures {
      guard let key = keys.first(where: { $0.id == signature.keyID }), let payload = signature.payload,
        try PublicKey(der: key.publicKey.span).verify(signature: signature.signature.span, payload: payload.span)
      else { return complain("promise 3: the signature of record \(signature.recordID) does not verify") }
    }
  }

  /// Promise 11: when the faults have ended, the job ends in bounded time.
  private func awaitEnd(of id: JobID) async throws {
    let limit = world.clock.now.advanced(by: size.healingTime)
    while world.clock.now < limit {
      if let job = try await cluster.database.job(id), job.state.hasEnded { return }
      try await world.clock.sleep(for: .milliseconds(500))
    }
    complain("promise 11: the job has not ended \(size.healingTime) after the last fault")
  }

  private func complain(_ text: String) {
    chronicle.add("VIOLATION \(text)")
    found.withLock { found in if !found.contains(text), found.count < 10 { found.append(text) } }
  }
}
