import Foundation
import LocalServers
import PostgresStorage
import Signing
import Synchronization

/// A whole cluster of one's own on this machine: Postgres and Redis on Unix sockets, and every service as a process.
/// Everything ends with this process, however it ends.
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
    /// Listens on the ports that commands expect, rather than on free ones.
    var usesDefaultPorts = false
  }

  /// A service that runs as a process.
  private struct Service {
    var name: String
    var arguments: [String]
    var process: ServerProcess
    var address: String
  }

  private let shape: Shape
  private let directory: ServerDirectory
  private let postgres: PrivatePostgres
  private let redis: PrivateRedis
  private let kekFile: String
  private var services: [Service] = []

  /// Where the first service of a kind listens: `coordinator`, `keykeeper` or `logger`.
  func address(_ kind: String) -> String { services.first { $0.name.hasPrefix(kind) }?.address ?? "" }

  /// Where libpq finds the database, as its superuser.
  nonisolated var databaseURL: String { postgres.connectionString }
  /// Where the processes write their logs.
  nonisolated var logDirectory: URL { directory.url }

  private init(_ shape: Shape) async throws {
    self.shape = shape
    directory = try shape.directory.map { try ServerDirectory(lasting: $0) } ?? ServerDirectory("c")
    kekFile = directory.url.appending(path: "kek").path
    var options = PrivatePostgres.Options()
    options.directory = shape.directory?.appending(path: "postgres")
    options.fsync = true
    options.settings = ["shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"]
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
      throw CommandFailure(code: "cluster_failed", message: error.description, hint: installationHint)
    }
    let result: Result<Value, any Error>
    do {
      try await cluster.startServices()
      result = .success(try await body(cluster))
    } catch let error as LocalServerError {
      result = .failure(CommandFailure(code: "cluster_failed", message: error.description))
    } catch {
      result = .failure(error)
    }
    try await cluster.stop()
    return try result.get()
  }

  private nonisolated static let installationHint =
    "Postgres and Redis must be installed: apt-get install postgresql-15 redis-server"

  private func startServices() async throws {
    if !FileManager.default.fileExists(atPath: kekFile) {
      do {
        _ = try KeyEncryptionKey.generate(at: kekFile)
      } catch {
        throw CommandFailure(error)
      }
    }
    try await Databases.migrate(postgres.connectionString)
    let database = ["--database-url", postgres.connectionString]
    // Logger first: the others report to it from the start.
    try start("logger", ["logger"] + database, port: 7422)
    let reports = ["--logger", address("logger")]
    for index in 0..<shape.coordinators {
      try start("coordinator-\(index + 1)", ["coordinator"] + database + reports, port: 7420 + 100 * index)
    }
    for index in 0..<shape.keyKeepers {
      let stores = database + ["--redis-url", redis.connectionString, "--kek-file", kekFile]
      try start("keykeeper-\(index + 1)", ["keykeeper"] + stores + reports, port: 7421 + 100 * index)
    }
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let threads = shape.threadsPerSigner ?? max(1, cores / max(1, shape.signers))
    let peers =
      services.filter { $0.name.hasPrefix("coordinator") }.flatMap { ["--coordinator", $0.address] }
      + services.filter { $0.name.hasPrefix("keykeeper") }.flatMap { ["--keykeeper", $0.address] }
    for index in 0..<shape.signers {
      try start("signer-\(index + 1)", ["signer", "--threads", String(threads)] + peers + reports, port: nil)
    }
  }

  /// Starts a service and waits until it takes calls.
  private func start(_ name: String, _ arguments: [String], port: Int?) throws {
    let ready = directory.url.appending(path: "\(name).ready").path
    try? FileManager.default.removeItem(atPath: ready)
    let listen = port.map { ["--listen", "127.0.0.1:\(shape.usesDefaultPorts ? $0 : 0)"] } ?? []
    let log = directory.url.appending(path: "\(name).log")
    let command =
      [Self.executable, "serve"] + arguments + listen
      + ["--name", name, "--ready-file", ready, "--log-format", "json"]
    let process = try ServerProcess(command, log: log, deathSignal: SIGKILL)
    try waitUntil("\(name) takes calls") {
      if FileManager.default.fileExists(atPath: ready) { return true }
      guard process.isRunning else {
        let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw LocalServerError("\(name) has ended: \(output.suffix(1000))")
      }
      return false
    }
    let address = try String(contentsOfFile: ready, encoding: .utf8).trimmingCharacters(in: .newlines)
    services.append(Service(name: name, arguments: command, process: process, address: address))
  }

  /// The names and process ids of the services.
  var processes: [(name: String, pid: Int32)] { services.map { ($0.name, $0.process.pid) } }

  /// The peak resident memory of every service so far, in bytes, by name.
  var peakMemory: [String: Int] {
    var peaks: [String: Int] = [:]
    for service in services {
      let status = (try? String(contentsOfFile: "/proc/\(service.process.pid)/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      peaks[service.name] = line.flatMap { Int($0.split(separator: " ", omittingEmptySubsequences: true)[1]) }.map {
        $0 * 1024
      }
    }
    return peaks
  }

  /// Throws when a service has ended by itself, with the end of its log.
  func checkServices() throws {
    for service in services where !service.process.isRunning {
      let log = directory.url.appending(path: "\(service.name).log")
      let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
      throw LocalServerError("\(service.name) has ended: \(output.suffix(1000))")
    }
  }

  /// Stops everything in order: signers first, so that nothing is left half done, Logger last.
  private func stop() async throws {
    for service in services.reversed() { service.process.signal(SIGTERM) }
    for service in services.reversed() {
      do {
        try service.process.waitForExit(within: .seconds(35))
      } catch {
        service.process.signal(SIGKILL)
        try service.process.waitForExit(within: .seconds(5))
      }
    }
    try await redis.remove()
    try await postgres.remove()
    try directory.remove()
  }

  /// This program.
  private nonisolated static let executable: String = {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
  }()
}
