import Foundation
import LocalServers
import RPCTransport
import TimeAndChance

/// What a cluster is made of.
enum ServiceKind: String, CaseIterable, CustomStringConvertible {
  case coordinator
  case keykeeper
  case signer
  case logger

  var description: String { rawValue }

  /// How far its port is from the first of the cluster; nil for one that does not listen.
  var portOffset: Int? {
    switch self {
    case .coordinator: 0
    case .keykeeper: 1
    case .logger: 2
    case .signer: nil
    }
  }

  /// Where its admin port listens unless it is told otherwise.
  var standardAdmin: Endpoint { .tcp(host: "127.0.0.1", port: 7430 + (portOffset ?? 3)) }
}

/// A service of a private cluster, as a process.
@ServerHost
final class ClusterService {
  let kind: ServiceKind
  let name: String
  private(set) var process: ServerProcess
  /// Where it listens, once it is ready; `-` for one that does not.
  private(set) var address = ""
  /// Where its admin port listens, once it is ready.
  private(set) var admin = ""
  private let arguments: [String]
  private let log: URL
  private let ready: String
  private var environment: [String: String]
  private var startedAt = ContinuousClock.now
  private var restarts = 0
  private static let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(5))

  /// Starts the process, by a program that becomes it if a launcher is given; `environment` is added to that of this one.
  init(
    _ kind: ServiceKind, _ name: String, _ arguments: [String], listen: String?, launcher: [String] = [],
    environment: [String: String] = [:], in directory: URL
  ) throws {
    self.kind = kind
    self.name = name
    self.environment = Settings.withoutCluster.merging(environment) { $1 }
    log = directory.appending(path: "\(name).log")
    ready = directory.appending(path: "\(name).ready").path
    self.arguments =
      launcher + [Self.executable, "serve", kind.rawValue] + arguments
      + ["--name", name, "--ready-file", ready, "--log-format", "json"]
    try? FileManager.default.removeItem(atPath: ready)
    process = try ServerProcess(
      self.arguments + ["--admin-listen", "127.0.0.1:0"] + (listen.map { ["--listen", $0] } ?? []), log: log,
      environment: self.environment,
      deathSignal: SIGKILL)
  }

  /// Waits until it takes calls; throws with the end of its log when it ends before.
  func waitUntilReady() throws {
    try waitUntil("\(name) takes calls") {
      if FileManager.default.fileExists(atPath: ready) { return true }
      guard process.isRunning else {
        let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw LocalServerError("\(name) has ended: \(output.suffix(1000))")
      }
      return false
    }
    let addresses = try ReadyFile.read(ready)
    (address, admin) = (addresses[0], addresses[1])
  }

  /// Whether it has ended, and was not started again a moment ago.
  var mayRestart: Bool {
    guard !process.isRunning else { return false }
    return startedAt.duration(to: .now) >= Self.backoff.delay(attempt: restarts, random: SystemRandom())
  }

  /// Starts it again, at the same addresses; with another environment if one is given.
  func restart(environment: [String: String]? = nil) throws {
    if let environment { self.environment = Settings.withoutCluster.merging(environment) { $1 } }
    // One that ran for a while was no failure to start.
    restarts = startedAt.duration(to: .now) > .seconds(10) ? 0 : restarts + 1
    startedAt = .now
    let listen = kind.portOffset == nil ? [] : ["--listen", address]
    process = try ServerProcess(
      arguments + ["--admin-listen", admin] + listen, log: log, environment: self.environment, deathSignal: SIGKILL)
  }

  /// The peak resident memory so far, in bytes.
  var peakMemory: Int {
    let status = (try? String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line.flatMap { Int($0.split(separator: " ", omittingEmptySubsequences: true)[1]) }.map { $0 * 1024 } ?? 0
  }

  var description: ClusterDescription.Process {
    ClusterDescription.Process(
      name: name, kind: kind.rawValue, pid: process.pid, address: kind.portOffset == nil ? nil : address, admin: admin)
  }

  /// This program.
  nonisolated static let executable: String = {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
  }()
}

/// Who runs where, as `cluster.json` in the data directory says.
struct ClusterDescription: Codable {
  /// The certificate with which commands call the services.
  struct TLS: Codable {
    var certificate: String
    var key: String
    var authority: String
  }

  struct Process: Codable {
    var name: String
    var kind: String
    var pid: Int32?
    var address: String?
    /// Where its admin port listens.
    var admin: String?
  }

  var databaseURL: String
  var redisURL: String
  var tls: TLS?
  var processes: [Process]

  enum CodingKeys: String, CodingKey {
    case databaseURL = "database_url"
    case redisURL = "redis_url"
    case tls, processes
  }

  /// The certificate with which commands call the services; nil without TLS.
  var tlsFiles: TLSFiles? {
    tls.map { TLSFiles(certificate: $0.certificate, key: $0.key, authority: $0.authority) }
  }

  static func file(in directory: URL) -> URL { directory.appending(path: "cluster.json") }

  /// Where `dev` keeps a cluster unless told otherwise.
  static var defaultDirectory: String {
    let environment = ProcessInfo.processInfo.environment
    let base = environment["XDG_STATE_HOME"] ?? (environment["HOME"] ?? "/tmp") + "/.local/state"
    return base + "/chancery"
  }

  /// The cluster that runs in the default directory, if it is the one that listens at `address`.
  static func running(at address: String) -> ClusterDescription? {
    guard let data = try? Data(contentsOf: file(in: URL(filePath: defaultDirectory))),
      let description = try? JSONDecoder().decode(ClusterDescription.self, from: data)
    else { return nil }
    return description.processes.contains { $0.address == address } ? description : nil
  }

  /// Replaces the file as a whole.
  func write(into directory: URL) throws {
    try Data(JSONText.document(self).utf8).write(to: Self.file(in: directory), options: .atomic)
  }
}
