import Foundation
import LocalServers
import PostgresStorage
import RPCTransport
import ServiceHost
import Signing

/// A whole cluster of one's own on this machine: Postgres and Redis on Unix sockets, and every service as a process.
/// What dies is started again; everything ends with this process, however it ends.
@ServerHost
final class LocalCluster {
  /// What the cluster is made of.
  struct Shape: Sendable {
    var coordinators = 1
    var keyKeepers = 1
    var signers = 2
    /// Threads that sign, of each signer; nil divides the cores among the signers.
    var threadsPerSigner: Int?
    /// Where everything is kept; nil is a temporary directory, which is removed.
    var directory: URL?
    /// Whether the services show each other certificates, of an authority of the cluster's own.
    var hasTLS = true
    /// The first of the ports to listen on, or 0 for free ones: the coordinator's; those of KeyKeeper and Logger follow, and
    /// those of further coordinators and KeyKeepers a hundred later each.
    var port = 0
  }

  private let shape: Shape
  private let directory: ServerDirectory
  private let postgres: PrivatePostgres
  private let redis: PrivateRedis
  private let kekFile: String
  /// The private key that signs manifests; its public half lies beside it.
  private let manifestKey: String
  /// The certificate with which commands call the services; nil without TLS.
  private(set) var tls: TLSFiles?
  private var services: [ClusterService] = []

  /// Where the first service of a kind listens.
  func address(_ kind: ServiceKind) -> String { services.first { $0.kind == kind }?.address ?? "" }

  /// Where libpq finds the database, as its superuser.
  nonisolated var databaseURL: String { postgres.connectionString }
  /// Where the processes write their logs.
  nonisolated var logDirectory: URL { directory.url }

  private init(_ shape: Shape) async throws {
    self.shape = shape
    directory = try shape.directory.map { try ServerDirectory(lasting: $0) } ?? ServerDirectory("c")
    kekFile = directory.url.appending(path: "kek").path
    manifestKey = directory.url.appending(path: "manifest-key.pem").path
    // A cluster that was killed has left it: nobody is to take it for this one's.
    try? FileManager.default.removeItem(at: ClusterDescription.file(in: directory.url))
    var options = PrivatePostgres.Options()
    options.directory = shape.directory?.appending(path: "postgres")
    options.fsync = true
    options.settings = [
      "shared_buffers": "256MB", "max_wal_size": "4GB", "min_wal_size": shape.directory == nil ? "2GB" : "256MB",
      "checkpoint_timeout": "15min",
    ]
    postgres = try await PrivatePostgres.start(options)
    do {
      redis = try await PrivateRedis.start()
    } catch {
      try await postgres.remove()
      throw error
    }
  }

  /// Starts a cluster, lends it to `body`, and ends it.
  nonisolated static func with<Value: Sendable>(
    _ shape: Shape, _ body: (LocalCluster) async throws -> Value
  ) async throws -> Value {
    let cluster: LocalCluster
    do {
      cluster = try await LocalCluster(shape)
    } catch let error as LocalServerError {
      throw CommandFailure(code: "cluster_failed", message: error.description)
    }
    let result: Result<Value, any Error>
    do {
      try await cluster.startServices()
      let supervisor = Task { await cluster.supervise() }
      do {
        result = .success(try await body(cluster))
      } catch {
        result = .failure(error)
      }
      supervisor.cancel()
      await supervisor.value
    } catch let error as LocalServerError {
      result = .failure(CommandFailure(code: "cluster_failed", message: error.description))
    } catch {
      result = .failure(error)
    }
    try await cluster.stop()
    return try result.get()
  }

  /// The peak resident memory of every service so far, in bytes, by name.
  var peakMemory: [String: Int] {
    Dictionary(uniqueKeysWithValues: services.map { ($0.name, $0.peakMemory) })
  }

  /// The processor time of every process so far, by name.
  var processorTimes: [String: Duration] {
    let servers = [("postgres", postgres.pid), ("redis", redis.pid)]
    let all = servers + services.map { ($0.name, $0.process.pid) }
    return all.reduce(into: [:]) { times, process in times[process.0] = process.1.flatMap { ProcessorTime.used(by: $0) }
    }
  }

  /// Stops everything in order: signers first, so that nothing is left half done, Logger last, so that it hears of that.
  private func stop() async throws {
    for kind in [ServiceKind.signer, .coordinator, .keykeeper, .logger] {
      let services = services.filter { $0.kind == kind }
      for service in services { service.process.signal(SIGTERM) }
      for service in services {
        do {
          try service.process.waitForExit(within: .seconds(35))
        } catch {
          service.process.signal(SIGKILL)
          try service.process.waitForExit(within: .seconds(5))
        }
      }
    }
    try? FileManager.default.removeItem(at: ClusterDescription.file(in: directory.url))
    try await redis.remove()
    try await postgres.remove()
    try directory.remove()
  }
}

// MARK: - Services

extension LocalCluster {
  private func startServices() async throws {
    if !FileManager.default.fileExists(atPath: kekFile) {
      do {
        _ = try KeyEncryptionKey.generate(at: kekFile)
      } catch {
        throw CommandFailure(error)
      }
    }
    if !FileManager.default.fileExists(atPath: manifestKey) { try DevAuthority.makeManifestKey(at: manifestKey) }
    try await Databases.migrate(postgres.connectionString)
    if shape.hasTLS { try issueCertificates() }
    // Logger first: the others report to it from the start.
    try start(.logger, arguments: database(.logger))
    let reports = ["--logger", address(.logger)]
    for index in 0..<shape.coordinators {
      try start(.coordinator, index, arguments: database(.coordinator) + ["--manifest-key", manifestKey] + reports)
    }
    for index in 0..<shape.keyKeepers {
      let stores = database(.keykeeper) + ["--redis-url", redis.connectionString, "--kek-file", kekFile]
      try start(.keykeeper, index, arguments: stores + reports)
    }
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let threads = shape.threadsPerSigner ?? max(1, cores / max(1, shape.signers))
    let peers =
      services.filter { $0.kind == .coordinator }.flatMap { ["--coordinator", $0.address] }
      + services.filter { $0.kind == .keykeeper }.flatMap { ["--keykeeper", $0.address] }
    for index in 0..<shape.signers {
      try start(.signer, index, arguments: ["--threads", String(threads)] + peers + reports)
    }
    try describe()
  }

  private var certificates: URL { directory.url.appending(path: "tls") }

  /// A certificate for each kind of service, and one for commands.
  private func issueCertificates() throws {
    let authority = try DevAuthority(in: certificates)
    defer { authority.close() }
    for kind in ServiceKind.allCases {
      _ = try authority.issue(kind.rawValue, identity: AccessTable.identity(kind.rawValue))
    }
    tls = try authority.issue("operator", identity: AccessTable.identity("operator"))
  }

  /// Each service has its own role in the database.
  private func database(_ kind: ServiceKind) -> [String] {
    ["--database-url", postgres.connectionString(user: "chancery_\(kind)")]
  }

  private func start(_ kind: ServiceKind, _ index: Int = 0, arguments: [String]) throws {
    var listen: String?
    if let offset = kind.portOffset {
      listen = "127.0.0.1:\(shape.port == 0 ? 0 : shape.port + offset + 100 * index)"
    }
    let name = kind == .logger ? "logger" : "\(kind)-\(index + 1)"
    var arguments = arguments
    if tls != nil {
      let files = DevAuthority.files(kind.rawValue, in: certificates)
      arguments += ["--tls-cert", files.certificate, "--tls-key", files.key, "--tls-ca", files.authority]
    }
    let service = try ClusterService(kind, name, arguments, listen: listen, in: directory.url)
    try service.waitUntilReady()
    services.append(service)
  }

  /// Writes down who runs where, for people and scripts.
  private func describe() throws {
    let servers = [
      ClusterDescription.Process(name: "postgres", kind: "postgres", pid: postgres.pid),
      ClusterDescription.Process(name: "redis", kind: "redis", pid: redis.pid),
    ]
    let description = ClusterDescription(
      databaseURL: postgres.connectionString, redisURL: redis.connectionString,
      tls: tls.map { ClusterDescription.TLS(certificate: $0.certificate, key: $0.key, authority: $0.authority) },
      processes: servers + services.map(\.description))
    try description.write(into: directory.url)
  }
}

// MARK: - What dies

extension LocalCluster {
  /// Starts again what has ended by itself, until the task is cancelled.
  private func supervise() async {
    while (try? await Task.sleep(for: .milliseconds(100))) != nil {
      // Each on its own: who cannot be started yet must not hold up the others, nor hide that they have been.
      var hasChanged = false
      if postgres.pid == nil { hasChanged = revive("postgres") { try postgres.restart() } || hasChanged }
      if redis.pid == nil { hasChanged = revive("redis") { try redis.restart() } || hasChanged }
      for service in services where service.mayRestart {
        hasChanged = revive(service.name) { try service.restart() } || hasChanged
      }
      guard hasChanged else { continue }
      do {
        try describe()
      } catch {
        StandardError.write("cluster.json cannot be written: \(error)\n")
      }
    }
  }

  private func revive(_ name: String, _ restart: () throws -> Void) -> Bool {
    StandardError.write("\(name) has ended: starting it again\n")
    do {
      try restart()
      return true
    } catch {
      StandardError.write("\(name) cannot be started yet: \(error)\n")
      return false
    }
  }
}
