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
  private let counts = Mutex<[Fault: Int]>([:])
  private let found = Mutex<[String]>([])
  /// What was signed at the last look.
  private let seen = Mutex<[RecordID: [UInt8]]>([:])

  init(
    cluster: SimulatedCluster, network: FaultyNetwork, database: FaultyDatabase, world: World, chronicle: Chronicle,
    size: SimulatedRun.Size
  ) {
    self.cluster = cluster
    self.network = network
    self.database = database
    self.world = world
    self.chronicle = chronicle
    self.size = size
  }

  /// How often each fault came; of resets and partitions, how many deliveries they hit.
  var faults: [Fault: Int] { counts.withLock { $0 } }

  /// Signs all records while faults come; returns what did not hold.
  func play(_ coordinator: any RPCChannel, _ keyKeeper: any RPCChannel) async throws -> [String] {
    let request = ChanceryV1.GenerateKeysRequest(algorithm: .ed25519, count: UInt32(size.keys))
    try await ChanceryV1.Keys.Client(keyKeeper).generate(request) { made in for try await _ in made {} }
    let count = size.records
    _ = try await ChanceryV1.Records.Client(coordinator).put { writer in
      try await writer.write(
        .init(records: (0..<count).map { .init(payload: Array("record \($0)".utf8), externalID: "r\($0)") }))
    }
    let job = try await ChanceryV1.Jobs.Client(coordinator).submit(
      .init(algorithm: .ed25519, batchSize: UInt32(size.batchSize)))
    guard let id = JobID(job.jobID) else { return ["the job has no id"] }
    // Long enough that faults meet work under way.
    network.slow(to: .milliseconds(300))
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

  /// Faults, one after another and at the same time, until their time is over.
  private func blow(job: JobID) async throws {
    let end = world.clock.now.advanced(by: size.faultTime)
    try await withThrowingTaskGroup(of: Void.self) { group in
      while world.clock.now < end {
        try await world.clock.sleep(for: world.random.duration(from: .milliseconds(50), to: .seconds(4)))
        let fault = world.random.pick(Fault.allCases)
        chronicle.add("fault \(fault.rawValue)")
        group.addTask { try await self.inflict(fault, job) }
      }
      try await group.waitForAll()
    }
  }

  private func inflict(_ fault: Fault, _ job: JobID) async throws {
    func hit(_ count: Int = 1) { counts.withLock { $0[fault, default: 0] += count } }
    let random = world.random
    switch fault {
    case .coordinatorKilled: try await kill("coordinator", hit)
    case .keyKeeperKilled: try await kill("keykeeper", hit)
    case .signerKilled: try await kill("signer", hit)
    case .coordinatorStopped: try await stop("coordinator", hit)
    case .keyKeeperStopped: try await stop("keykeeper", hit)
    case .signerStopped: try await stop("signer", hit)
    case .cacheForgets:
      cluster.cache.forget()
      hit()
    case .partition, .oneWayPartition:
      let names = cluster.processes.map(\.name)
      let a = random.pick(names)
      let b = random.pick(names.filter { $0 != a })
      let before = network.hits.held
      let duration = random.duration(from: .milliseconds(500), to: .seconds(15))
      network.cut(a, b, bothWays: fault == .partition, for: duration)
      try await world.clock.sleep(for: duration)
      // Others may be cut at this time too; a cut between two that say nothing hits nothing.
      hit(network.hits.held - before)
    case .resets:
      let before = network.hits.resets
      network.reset(oneOf: 5 + random.next(below: 60))
      try await world.clock.sleep(for: random.duration(from: .milliseconds(500), to: .seconds(10)))
      network.reset(oneOf: 0)
      hit(network.hits.resets - before)
    case .slowNetwork:
      network.slow(to: random.duration(from: .milliseconds(300), to: .seconds(4)))
      try await world.clock.sleep(for: random.duration(from: .milliseconds(500), to: .seconds(10)))
      network.slow(to: .milliseconds(300))
      hit()
    case .databaseAway:
      let before = database.hits
      database.setAway(true)
      try await world.clock.sleep(for: random.duration(from: .milliseconds(200), to: .seconds(12)))
      database.setAway(false)
      hit(database.hits - before)
    case .databaseUnsure:
      let before = database.hits
      database.lose(oneOf: 2 + random.next(below: 20))
      try await world.clock.sleep(for: random.duration(from: .milliseconds(500), to: .seconds(10)))
      database.lose(oneOf: 0)
      hit(database.hits - before)
    case .keyDisabled:
      let key = KeyID(rawValue: Int64(1 + random.next(below: size.keys)))
      guard (try? await cluster.database.setState(key, to: .disabled)) != nil else { return }
      hit()
      try await world.clock.sleep(for: random.duration(from: .milliseconds(100), to: .seconds(5)))
      _ = try await cluster.database.setState(key, to: .active)
    case .jobPaused:
      guard (try? await cluster.database.setState(job, to: .paused)) != nil else { return }
      hit()
      try await world.clock.sleep(for: random.duration(from: .milliseconds(100), to: .seconds(5)))
      // It may be done by now.
      _ = try? await cluster.database.setState(job, to: .running)
    }
  }

  private func victim(_ kind: String) -> SimulatedProcess {
    world.random.pick(cluster.processes.filter { $0.name.hasPrefix(kind) })
  }

  private func kill(_ kind: String, _ hit: (Int) -> Void) async throws {
    let process = victim(kind)
    guard process.kill() else { return }
    hit(1)
    try await world.clock.sleep(for: world.random.duration(from: .milliseconds(50), to: .seconds(6)))
    process.start()
  }

  private func stop(_ kind: String, _ hit: (Int) -> Void) async throws {
    let process = victim(kind)
    process.pause()
    hit(1)
    // The ttl of a lease is ten seconds.
    try await world.clock.sleep(for: world.random.duration(from: .milliseconds(500), to: .seconds(25)))
    process.resume()
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
      if isLast { try await verify(signatures) }
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

  /// Promises 1 and 3: every record is signed, and every signature verifies with the key named.
  private func verify(_ signatures: [StoredSignature]) async throws {
    if signatures.count != size.records {
      complain("promise 1: \(signatures.count) of \(size.records) records are signed")
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
