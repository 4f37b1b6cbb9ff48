import Domain
import FaultyNetworking
import Foundation
import LocalServers
import NIOPosix
import PostgresDriver
import RPC
import RPCTransport
import Schema
import Signing
import Storage
import Synchronization
import TimeAndChance
import Translation

/// One fault and one job: a cluster of its own signs records while the fault comes; when it is over the job must end, and
/// everything that was promised must hold.
final class ChaosRun: Sendable {
  /// How large it is.
  struct Size: Sendable {
    var records = 100_000
    var batchSize = 100
    var keys = 12
    /// How long the job may take after the fault.
    var healingTime: Duration = .seconds(90)
    /// Whether the canary is put where no private key may be.
    var leaksKey = false
    /// Where to keep the logs; nil for nowhere.
    var logs: URL?
  }

  let cluster: ChaosCluster
  let history = ChaosHistory()
  private let size: Size
  private let hits = Mutex(0)
  private let job = Mutex<String?>(nil)
  private let hasEnded = Latch()

  private init(_ cluster: ChaosCluster, _ size: Size) {
    self.cluster = cluster
    self.size = size
  }

  /// Runs a fault; what it throws is that the fault could not be tried.
  static func of(
    _ fault: ChaosFault, _ size: Size, canary: Canary, _ group: MultiThreadedEventLoopGroup
  ) async throws -> ChaosVerdict {
    var shape = ChaosCluster.Shape()
    fault.shape(&shape)
    let started = ContinuousClock.now
    var verdict = try await ChaosCluster.with(shape, group) { cluster in
      try await ChaosRun(cluster, size).play(fault, canary)
    }
    verdict.seconds = (started.duration(to: .now).inSeconds * 10).rounded() / 10
    return verdict
  }

  private func play(_ fault: ChaosFault, _ canary: Canary) async throws -> ChaosVerdict {
    var verdict = ChaosVerdict(fault: fault.name, layer: fault.layer)
    do {
      let (keys, id) = try await limited(to: .seconds(60)) {
        (try await self.makeKeys(canary), try await self.submit())
      }
      try await limited(to: size.healingTime + .seconds(120)) { try await self.weather(fault, id) }
      try await judge(&verdict, fault, id, keys, canary)
    } catch {
      verdict.violations.append("it did not end: \(error)")
      verdict.warnings = try await logs().warnings
    }
    verdict.hits = hits.withLock { $0 }
    if let folder = size.logs?.appending(path: fault.name) { try await logs().write(to: folder) }
    return verdict
  }

  /// The fault, while the job runs.
  private func weather(_ fault: ChaosFault, _ id: String) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.follow(id) }
      group.addTask { try await self.watchSignatures() }
      group.addTask {
        try await fault.inflict(self)
        try await self.awaitEnd()
      }
      // The watches end with the job.
      for _ in 1...3 { try await group.next() }
    }
  }

  private func limited<Value: Sendable>(
    to limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
      group.addTask { try await body() }
      group.addTask {
        try await Task.sleep(for: limit)
        throw ChaosError("it took longer than \(limit)")
      }
      defer { group.cancelAll() }
      return try await group.next()!
    }
  }

  // MARK: - The client

  /// Lends a channel to all services of a kind, the first that answers.
  func with<Value>(_ kind: ServiceKind, _ body: (any RPCChannel) async throws -> Value) async throws -> Value {
    let endpoints = try await cluster.addresses(kind).map { try Endpoint(parsing: $0) }
    return try await Connection.lending(endpoints, tls: try TLSCredentials(reading: cluster.operatorFiles()), body)
  }

  /// A ring of keys, one of which is known to the judge.
  private func makeKeys(_ canary: Canary) async throws -> [Int64: PublicKey] {
    try await with(.keykeeper) { channel in
      let imported = try await canary.importKey(to: channel)
      var keys = try await KeyGeneration.run(
        Canary.algorithm, count: size.keys - 1, label: "", on: channel, isQuiet: true)
      keys.append(imported)
      return try Dictionary(uniqueKeysWithValues: keys.map { ($0.keyID, try PublicKey(spki: $0.publicKeySpki)) })
    }
  }

  private func submit() async throws -> String {
    try await with(.coordinator) { channel in
      _ = try await RecordUpload.generate(count: size.records, size: 192, on: channel, isQuiet: true)
      let request = ChanceryV1.SubmitJobRequest(
        algorithm: Canary.algorithm.message, batchSize: UInt32(size.batchSize), idempotencyKey: "chaos")
      return try await ChanceryV1.Jobs.Client(channel).submit(request).jobID
    }
  }

  /// Asks again and again how far the job is, whoever answers; ends with the job.
  private func follow(_ id: String) async throws {
    job.withLock { $0 = id }
    while true {
      let ended = try await with(.coordinator) { channel in
        let jobs = ChanceryV1.Jobs.Client(channel)
        var failures = 0
        // New connections now and then: the certificates may be new.
        while failures < 20 {
          do {
            let job = try await jobs.get(.init(jobID: id), options: CallOptions(timeout: .seconds(2)))
            history.told(signed: job.counts?.signed ?? 0)
            if job.state == .done || job.state == .cancelled { return true }
            failures = 0
          } catch {
            failures += 1
          }
          try await Task.sleep(for: .milliseconds(30))
        }
        return false
      }
      if ended { return hasEnded.open() }
    }
  }

  private func watchSignatures() async throws {
    while !hasEnded.isOpen {
      // The database may be away, which others find out.
      try? await history.look(at: await cluster.postgres.connectionString)
      try await Task.sleep(for: .milliseconds(500))
    }
  }

  private func awaitEnd() async throws {
    try await eventually("the job ended, of which \(history.signed) records are signed", within: size.healingTime) {
      hasEnded.isOpen
    }
  }

  // MARK: - The judge

  private func logs() async throws -> ChaosLogs {
    var servers = await ["postgres": cluster.postgres.log, "redis": cluster.redis.log]
    servers["standby"] = await cluster.standby?.log
    return try ChaosLogs(in: cluster.logDirectory, servers: servers)
  }

  private func judge(
    _ verdict: inout ChaosVerdict, _ fault: ChaosFault, _ id: String, _ keys: [Int64: PublicKey], _ canary: Canary
  ) async throws {
    let url = await cluster.postgres.connectionString
    try await history.look(at: url)
    let logs = try await logs()
    verdict.warnings = logs.warnings
    for effect in fault.effects {
      let count = try await effect.count(logs, url)
      verdict.effects[effect.name] = count
      if count == 0 { verdict.violations.append("the fault was not felt: no \(effect.name)") }
    }
    let signed = try await SQL.query("SELECT count(*), count(DISTINCT record_id) FROM chancery.signatures", on: url)
    verdict.signed = Int(try signed.int64(0, 0))
    if verdict.signed != size.records {
      verdict.violations.append("promise 1: \(verdict.signed) of \(size.records) records are signed")
    }
    for finding in try await Audit.run(url).findings where finding.violations > 0 {
      verdict.violations.append("promise \(finding.invariant.rawValue): \(finding.examples.first ?? "")")
    }
    let verified = try await Audit.verifySignatures(url, isQuiet: true)
    verdict.verified = Int(verified.checked)
    if verified.violations > 0 { verdict.violations.append("promise 3: \(verified.examples.first ?? "")") }
    let gone = try await history.reverted + ChaosHistory.disagreements(logs, job: id, on: url)
    if fault.losesCommits {
      verdict.lost = gone
    } else {
      verdict.violations += gone.map { "promise 8: \($0)" }
    }
    // Redis has nothing on disk by itself.
    try await canary.saveCache(await cluster.redis)
    if size.leaksKey { try canary.leak(into: cluster.logDirectory) }
    if let place = try await canary.find(in: cluster.secretPlaces) {
      verdict.violations.append("promise 10: a private key is in clear in \(place)")
    }
  }
}

// MARK: - For faults

extension ChaosRun {
  /// The fault came, so many times.
  func hit(_ count: Int = 1) { hits.withLock { $0 += count } }

  /// Waits until a share of the records is signed.
  func untilSigned(_ share: Double) async throws {
    let wanted = UInt64(share * Double(size.records))
    try await eventually("\(wanted) records were signed", within: .seconds(60), every: .milliseconds(10)) {
      guard !hasEnded.isOpen || history.signed < UInt64(size.records) else {
        throw ChaosError("the job was over before the fault came")
      }
      return history.signed >= wanted
    }
  }

  /// The job's id.
  func jobID() throws -> String {
    guard let id = job.withLock({ $0 }) else { throw ChaosError("there is no job yet") }
    return id
  }

  func sleep(_ seconds: Double) async throws { try await Task.sleep(for: .seconds(seconds)) }

  /// Waits until a process has ended at its failpoint.
  func untilEnded(_ name: String) async throws {
    try await eventually("\(name) ended at its failpoint", within: .seconds(60)) {
      await !cluster.service(name).process.isRunning
    }
    hit()
  }

  /// Waits until a process has stopped at its failpoint.
  func untilStopped(_ name: String) async throws {
    try await eventually("\(name) stopped at its failpoint", within: .seconds(60)) {
      await cluster.service(name).process.isStopped
    }
    hit()
  }

  func kill(_ name: String) async throws {
    await cluster.service(name).process.signal(SIGKILL)
    try await untilEnded(name)
  }

  func stop(_ name: String) async throws {
    await cluster.service(name).process.signal(SIGSTOP)
    try await untilStopped(name)
  }

  func resume(_ name: String) async { await cluster.service(name).process.signal(SIGCONT) }

  /// Starts a process again that has ended, with nothing wrong.
  func restart(_ name: String) async throws { try await cluster.service(name).restart(environment: [:]) }

  /// Runs statements in the database as its superuser.
  func sql(_ script: String) async throws { try await SQL.run(script, on: await cluster.postgres.connectionString) }

  /// Says something to Redis itself.
  @discardableResult
  func redis(_ arguments: String...) async throws -> String {
    try await Tool.redis(cluster.redis, arguments)
  }

  /// Has links misbehave for a time; what they hit counts.
  func weather(
    _ links: [FaultProxy], for seconds: Double, _ change: (inout FaultProxy.Weather) -> Void
  ) async throws {
    var weather = FaultProxy.Weather()
    change(&weather)
    let before = links.map(\.hits)
    for link in links { link.set(weather) }
    try await sleep(seconds)
    for link in links { link.set(FaultProxy.Weather()) }
    for (link, before) in zip(links, before) {
      hit(link.hits.pieces - before.pieces + link.hits.connections - before.connections)
    }
  }
}
