import FaultyNetworking
import Foundation
import LocalServers
import NIOCore
import NIOPosix
import RPCTransport
import ServiceHost
import Signing

/// A private cluster to be broken: every service is a process, and a proxy that can be told to misbehave stands between
/// every two of them. Nothing that ends is started again by itself.
@ServerHost
final class ChaosCluster {
  /// What the cluster is made of, and what is wrong with it from the start.
  struct Shape: Sendable {
    var coordinators = 2
    var keyKeepers = 2
    var signers = 3
    /// A second Postgres, which follows the first.
    var standby: Standby?
    /// Coordinators read payloads from the standby.
    var readsStandby = false
    /// A second Redis follows the first.
    var hasCacheReplica = false
    /// Bytes of a file system of its own for Postgres; nil for none.
    var diskBytes: Int?
    var postgresConnections = 100
    /// By name of a process: failpoints to arm when it starts first.
    var failpoints: [String: String] = [:]
    /// The processes, `postgres` among them, whose time of day can be changed.
    var clocks: Set<String> = []
  }

  enum Standby: Sendable {
    /// A commit waits for it.
    case synchronous
    case asynchronous
  }

  /// A proxy between two processes, by their names.
  struct Link {
    var from: String
    var to: String
    var proxy: FaultProxy
    var running: Task<Void, Never>
  }

  private let shape: Shape
  private let directory: ServerDirectory
  private let group: MultiThreadedEventLoopGroup
  private let disk: SmallDisk?
  private(set) var postgres: PrivatePostgres
  private(set) var standby: PrivatePostgres?
  private(set) var redis: PrivateRedis
  private var cacheReplica: PrivateRedis?
  private let redisPort: UInt16?
  private let kekFile: String
  private nonisolated let certificates: URL
  private var services: [ClusterService] = []
  private var links: [Link] = []

  /// Where the processes write their logs.
  nonisolated let logDirectory: URL

  private init(_ shape: Shape, _ group: MultiThreadedEventLoopGroup) async throws {
    self.shape = shape
    self.group = group
    directory = try ServerDirectory("x")
    logDirectory = directory.url
    kekFile = directory.url.appending(path: "kek").path
    certificates = directory.url.appending(path: "tls")
    var options = PrivatePostgres.Options()
    // A killed server must not lose what it has committed; what the machine keeps of it is not tried here.
    options.connections = shape.postgresConnections
    options.settings = ["shared_buffers": "64MB", "wal_level": "replica", "max_wal_size": "128MB"]
    let mount = directory.url.appending(path: "disk")
    disk = try shape.diskBytes.map { try SmallDisk(at: mount, bytes: $0) }
    options.directory = disk?.url.appending(path: "postgres")
    options.environment = try Self.clock("postgres", shape, in: directory)
    postgres = try await PrivatePostgres.start(options)
    var redisOptions = PrivateRedis.Options()
    if shape.hasCacheReplica { redisOptions.port = try await Self.freePort(group) }
    redisPort = redisOptions.port
    redis = try await PrivateRedis.start(redisOptions)
  }

  /// Starts a cluster, lends it to `body`, and ends it, whatever its state.
  nonisolated static func with<Value: Sendable>(
    _ shape: Shape, _ group: MultiThreadedEventLoopGroup, _ body: (ChaosCluster) async throws -> Value
  ) async throws -> Value {
    let cluster = try await ChaosCluster(shape, group)
    let result: Result<Value, any Error>
    do {
      try await cluster.start()
      result = .success(try await body(cluster))
    } catch {
      result = .failure(error)
    }
    try await cluster.end()
    return try result.get()
  }

  private func start() async throws {
    _ = try KeyEncryptionKey.generate(at: kekFile)
    try await Databases.migrate(postgres.connectionString)
    if shape.standby != nil { try await startStandby() }
    if let port = redisPort { try await startCacheReplica(of: port) }
    try issueCertificates()
    try await start(.logger, "logger")
    for index in 1...shape.coordinators { try await start(.coordinator, "coordinator-\(index)") }
    for index in 1...shape.keyKeepers { try await start(.keykeeper, "keykeeper-\(index)") }
    for index in 1...shape.signers { try await start(.signer, "signer-\(index)") }
  }

  private func end() async throws {
    for service in services { service.process.signal(SIGKILL) }
    for service in services { try service.process.waitForExit(within: .seconds(30)) }
    for link in links {
      link.proxy.set(FaultProxy.Weather())
      link.running.cancel()
    }
    for link in links { await link.running.value }
    try await redis.remove()
    try await cacheReplica?.remove()
    try await standby?.remove()
    try await postgres.remove()
    try disk?.remove()
    try directory.remove()
  }
}

// MARK: - Services

extension ChaosCluster {
  private func start(_ kind: ServiceKind, _ name: String) async throws {
    let files = DevAuthority.files(kind.rawValue, in: certificates)
    var arguments = ["--tls-cert", files.certificate, "--tls-key", files.key, "--tls-ca", files.authority]
    arguments += ["--log-level", "debug"]
    if kind != .logger { arguments += ["--logger", try await link(name, to: "logger")] }
    switch kind {
    case .logger: arguments += ["--database-url", try await databaseLink(name)]
    case .coordinator:
      arguments += ["--database-url", try await databaseLink(name)]
      if shape.readsStandby { arguments += ["--read-url", try await databaseLink(name, to: "standby")] }
    case .keykeeper:
      arguments += ["--database-url", try await databaseLink(name), "--kek-file", kekFile]
      arguments += ["--redis-url", try await redisLink(name)]
    case .signer:
      arguments += ["--threads", "1"]
      for service in services where service.kind == .coordinator || service.kind == .keykeeper {
        arguments += ["--\(service.kind)", try await link(name, to: service.name)]
      }
    }
    let listen = kind.portOffset == nil ? nil : "127.0.0.1:0"
    let service = try ClusterService(
      kind, name, arguments, listen: listen, launcher: shape.clocks.contains(name) ? Faketime.launcher : [],
      environment: try environment(name), in: directory.url)
    try service.waitUntilReady()
    services.append(service)
  }

  private func environment(_ name: String) throws -> [String: String] {
    var environment: [String: String] = [:]
    environment["CHANCERY_FAILPOINTS"] = shape.failpoints[name]
    return try environment.merging(Self.clock(name, shape, in: directory)) { $1 }
  }

  /// What a process is started with whose clock can be changed.
  private static func clock(
    _ name: String, _ shape: Shape, in directory: ServerDirectory
  ) throws -> [String: String] {
    guard shape.clocks.contains(name) else { return [:] }
    let file = clockFile(name, in: directory)
    try Data("+0".utf8).write(to: file)
    return try Faketime.environment(file)
  }

  private static func clockFile(_ name: String, in directory: ServerDirectory) -> URL {
    directory.url.appending(path: "\(name).clock")
  }

  /// Changes the clock of a process, as faketime takes it: `+1h`, `-1h`, `+0 x2`.
  func setClock(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: Self.clockFile(name, in: directory), options: .atomic)
  }

  /// A service by its name.
  func service(_ name: String) -> ClusterService {
    // The names of faults are checked by running them.
    services.first { $0.name == name }!
  }

  var serviceNames: [String] { services.map(\.name) }

  /// Where all services of a kind listen, without a proxy.
  func addresses(_ kind: ServiceKind) -> [String] { services.filter { $0.kind == kind }.map(\.address) }

  /// The certificate of commands.
  nonisolated func operatorFiles() -> TLSFiles {
    DevAuthority.files("operator", in: certificates)
  }

  /// Issues certificates to all, of a new authority, which old ones do not trust: everybody must read them anew.
  func issueCertificates(validFor seconds: Int = DevAuthority.standardSeconds) throws {
    let authority = try DevAuthority(in: certificates, validFor: seconds)
    defer { authority.close() }
    for name in ServiceKind.allCases.map(\.rawValue) + ["operator"] {
      _ = try authority.issue(name, identity: AccessTable.identity(name))
    }
  }

  /// Where no private key may be in clear.
  var secretPlaces: [URL] {
    [directory.url, postgres.log.deletingLastPathComponent(), redis.log.deletingLastPathComponent()]
      + (standby.map { [$0.log.deletingLastPathComponent()] } ?? [])
  }

  /// Fills the disk of Postgres, until it is emptied.
  func fillDisk() throws { try disk?.fill() }

  func emptyDisk() throws { try disk?.empty() }
}

// MARK: - Links

extension ChaosCluster {
  /// The proxies from processes whose names begin with one text to those whose names begin with another.
  func proxies(_ from: String, _ to: String) -> [FaultProxy] {
    links.filter { $0.from.hasPrefix(from) && $0.to.hasPrefix(to) }.map(\.proxy)
  }

  /// All proxies at one end of which a process is.
  func proxies(around name: String) -> [FaultProxy] {
    links.filter { $0.from == name || $0.to == name }.map(\.proxy)
  }

  /// A link to a service; returns where to call it.
  private func link(_ from: String, to: String) async throws -> String {
    let address = services.first { $0.name == to }?.address ?? ""
    let port = Int(address.split(separator: ":").last ?? "") ?? 0
    let upstream = try SocketAddress(ipAddress: "127.0.0.1", port: port)
    let proxy = try await add(from, to, listen: try SocketAddress(ipAddress: "127.0.0.1", port: 0), upstream)
    return "127.0.0.1:\(proxy.address.port ?? 0)"
  }

  /// A link to the database; returns a connection string for the service's role.
  private func databaseLink(_ from: String, to: String = "postgres") async throws -> String {
    let server = to == "postgres" ? postgres : standby
    let folder = directory.url.appending(path: "\(from)-\(to)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let socket = try SocketAddress(unixDomainSocketPath: folder.appending(path: PrivatePostgres.socketName).path)
    _ = try await add(from, to, listen: socket, try Self.socket(of: server))
    let user = from.hasPrefix("standby") ? "chancery" : "chancery_\(from.split(separator: "-")[0])"
    return "host=\(folder.path) user=\(user) dbname=postgres"
  }

  private func redisLink(_ from: String) async throws -> String {
    let path = directory.url.appending(path: "\(from)-redis").path
    _ = try await add(
      from, "redis", listen: try SocketAddress(unixDomainSocketPath: path),
      try SocketAddress(unixDomainSocketPath: redis.socketPath))
    return "unix://\(path)"
  }

  private func add(
    _ from: String, _ to: String, listen: SocketAddress, _ upstream: SocketAddress
  ) async throws -> FaultProxy {
    let proxy = try await FaultProxy(listen: listen, upstream: upstream, group: group)
    // Detached: this thread is busy while it waits for a process, which may wait for what is relayed.
    links.append(Link(from: from, to: to, proxy: proxy, running: Task.detached { await proxy.run() }))
    return proxy
  }

  private static func socket(of server: PrivatePostgres?) throws -> SocketAddress {
    guard let server else { throw LocalServerError("there is no such Postgres") }
    return try SocketAddress(unixDomainSocketPath: server.socketPath)
  }
}

// MARK: - The standby

extension ChaosCluster {
  private func startStandby() async throws {
    var options = PrivatePostgres.Options()
    options.connections = shape.postgresConnections
    options.settings = ["shared_buffers": "64MB"]
    options.primary = try await databaseLink("standby")
    let server = try await PrivatePostgres.start(options)
    standby = server
    guard shape.standby == .synchronous else { return }
    try await SQL.run("ALTER SYSTEM SET synchronous_standby_names = '*'", on: postgres.connectionString)
    try await SQL.run("SELECT pg_reload_conf()", on: postgres.connectionString)
    try await eventually("the standby is synchronous", within: .seconds(20)) {
      try await SQL.texts("SELECT sync_state FROM pg_stat_replication", on: self.postgres.connectionString) == ["sync"]
    }
  }

  /// The primary is gone for good: the standby takes its place, and its name.
  func failOver() async throws {
    guard let server = standby else { return }
    try postgres.kill9()
    try await SQL.run("SELECT pg_promote()", on: server.connectionString)
    let upstream = try Self.socket(of: server)
    for proxy in links.filter({ $0.to == "postgres" && $0.from != "standby" }).map(\.proxy) { proxy.move(to: upstream) }
    // What is ended with the cluster is the old primary.
    standby = postgres
    postgres = server
  }
}

// MARK: - The replica of the cache

extension ChaosCluster {
  private func startCacheReplica(of port: UInt16) async throws {
    let proxy = try await add(
      "cache-replica", "redis", listen: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
      try SocketAddress(ipAddress: "127.0.0.1", port: Int(port)))
    let replica = try await PrivateRedis.start()
    cacheReplica = replica
    try Tool.redis(replica, ["REPLICAOF", "127.0.0.1", "\(proxy.address.port ?? 0)"])
    try await eventually("the replica of Redis follows", within: .seconds(20)) {
      try Tool.redis(replica, ["INFO", "replication"]).contains("master_link_status:up")
    }
  }

  /// The first Redis is gone for good: its replica takes its place, and its name.
  func failOverCache() async throws {
    guard let replica = cacheReplica else { return }
    try redis.kill9()
    try Tool.redis(replica, ["REPLICAOF", "NO", "ONE"])
    let upstream = try SocketAddress(unixDomainSocketPath: replica.socketPath)
    for link in links where link.to == "redis" && link.from != "cache-replica" { link.proxy.move(to: upstream) }
    cacheReplica = redis
    redis = replica
  }

  /// A port on which nobody listens.
  private static func freePort(_ group: MultiThreadedEventLoopGroup) async throws -> UInt16 {
    let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
    let port = channel.localAddress?.port ?? 0
    try await channel.close()
    return UInt16(port)
  }
}

/// A small file system in memory, which can be filled.
struct SmallDisk {
  let url: URL

  /// Mounts it, which takes root.
  @ServerHost
  init(at url: URL, bytes: Int) throws {
    self.url = url
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    try Tool.run(["mount", "-t", "tmpfs", "-o", "size=\(bytes),mode=0777", "tmpfs", url.path])
  }

  private var filler: URL { url.appending(path: "filler") }

  /// Takes all that is free, again and again while it becomes free.
  @ServerHost
  func fill() throws {
    // It fails when the disk is full, which is what it is for.
    try Tool.run(["dd", "if=/dev/zero", "of=\(filler.path)", "bs=64K", "oflag=append", "conv=notrunc"], mayFail: true)
  }

  func empty() throws { try FileManager.default.removeItem(at: filler) }

  @ServerHost
  func remove() throws { try Tool.run(["umount", "-l", url.path]) }
}

/// Programs of the system.
enum Tool {
  /// Runs a program to its end; throws with what it said when it fails.
  @ServerHost
  @discardableResult
  static func run(_ arguments: [String], mayFail: Bool = false) throws -> String {
    let log = FileManager.default.temporaryDirectory.appending(path: "chancery-tool-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: log) }
    let process = try ServerProcess(arguments, log: log)
    let status = try process.waitForExit(within: .seconds(30))
    let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
    guard status == 0 || mayFail else {
      throw LocalServerError("\(arguments.joined(separator: " ")) failed: \(output.suffix(500))")
    }
    return output
  }

  /// Says something to a Redis server itself, past all proxies; returns what it answers.
  @ServerHost
  @discardableResult
  static func redis(_ server: PrivateRedis, _ arguments: [String]) throws -> String {
    try run(["redis-cli", "-s", server.socketPath] + arguments)
  }
}

/// The library that lies about the time.
enum Faketime {
  /// Where faketime is loaded first it changes the environment, after which Swift does not find the arguments of the process:
  /// so another program goes before.
  static let launcher = ["env"]

  /// What a process is started with that is to take its time from a file.
  static func environment(_ file: URL) throws -> [String: String] {
    // Looked at whenever the time is asked for, so that it can change.
    [
      "LD_PRELOAD": try library(), "FAKETIME_TIMESTAMP_FILE": file.path, "FAKETIME_NO_CACHE": "1",
      "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    ]
  }

  /// Its path; throws when it is not installed.
  private static func library() throws -> String {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"]
    // The variant for programs with many threads.
    for place in places {
      let path = "\(place)/faketime/libfaketimeMT.so.1"
      if FileManager.default.fileExists(atPath: path) { return path }
    }
    throw LocalServerError("faketime is not installed: apt-get install faketime")
  }
}
