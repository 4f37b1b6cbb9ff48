import Foundation
import LocalServers
import TestWorld
import Testing

/// A cluster that `chancery dev` runs, as a user starts it, and the command line in front of it.
final class DevCluster: Sendable {
  let directory: URL
  private let process: ServerProcess
  private let state: ServerDirectory?

  private init(directory: URL, process: ServerProcess, state: ServerDirectory?) {
    self.directory = directory
    self.process = process
    self.state = state
  }

  /// One cluster for all tests that only use it; it ends with the process of the tests.
  static let shared = Task { try await start(["--signers", "1"]) }

  /// Starts a cluster, in a directory of its own unless one is given.
  static func start(
    _ arguments: [String], environment: [String: String] = [:], in directory: URL? = nil
  ) async throws -> DevCluster {
    let state = directory == nil ? try await ServerDirectory("e") : nil
    let directory = directory ?? state!.url
    let file = directory.appending(path: "cluster.json")
    let stale = try? Data(contentsOf: file)
    let command = [Program.chancery, "dev", "--data-directory", directory.path, "--port", "0"] + arguments
    let process = try await ServerProcess(
      command, log: directory.appending(path: "dev.log"), environment: environment, deathSignal: SIGTERM)
    let cluster = DevCluster(directory: directory, process: process, state: state)
    try await eventually("the cluster is ready: \(cluster.log)") {
      try #require(await process.isRunning, "dev has ended: \(cluster.log)")
      return (try? Data(contentsOf: file)).map { $0 != stale } ?? false
    }
    return cluster
  }

  /// Starts a cluster, lends it to `body` and stops it as Ctrl-C does.
  static func with(
    _ arguments: [String] = [], environment: [String: String] = [:], in directory: URL? = nil,
    _ body: (DevCluster) async throws -> Void
  ) async throws {
    let cluster = try await start(arguments, environment: environment, in: directory)
    do {
      try await body(cluster)
    } catch {
      try await cluster.stop()
      throw error
    }
    try await cluster.stop()
  }

  private func stop() async throws {
    await process.signal(SIGINT)
    #expect(try await process.waitForExit(within: .seconds(60)) == 0)
    try await state?.remove()
  }

  /// Ends `dev` itself as a crash does.
  func crash() async throws {
    await process.signal(SIGKILL)
    // An ended child that nobody waits for would hold up the exit tests of others.
    try await process.waitForExit(within: .seconds(30))
  }

  /// What a service has logged.
  func log(of name: String) -> String {
    (try? String(contentsOf: directory.appending(path: "\(name).log"), encoding: .utf8)) ?? ""
  }

  var log: String { (try? String(contentsOf: directory.appending(path: "dev.log"), encoding: .utf8)) ?? "" }

  // MARK: - Who runs where

  private func description() throws -> JSON {
    let data = try Data(contentsOf: directory.appending(path: "cluster.json"))
    return JSON(value: try JSONSerialization.jsonObject(with: data))
  }

  func databaseURL() throws -> String { try #require(try description()["database_url"].text) }

  /// The Unix socket of Redis.
  func redisSocket() throws -> String {
    String(try #require(try description()["redis_url"].text).dropFirst("unix://".count))
  }

  /// The processes that run, by name.
  func processes() throws -> [String: (pid: Int32, address: String?)] {
    var processes: [String: (pid: Int32, address: String?)] = [:]
    for process in try description()["processes"].list {
      guard let name = process["name"].text, let pid = process["pid"].number else { continue }
      processes[name] = (Int32(pid), process["address"].text)
    }
    return processes
  }

  func pid(of name: String) throws -> Int32 { try #require(try processes()[name]?.pid, "\(name) does not run") }

  func address(of name: String) throws -> String { try #require(try processes()[name]?.address) }

  /// Where the admin ports of the services listen.
  func adminAddresses() throws -> [String] { try description()["processes"].list.compactMap { $0["admin"].text } }

  /// Asks the admin port of a service for a page.
  func admin(_ name: String, _ path: String, method: String = "GET") throws -> RawConnection.Answer {
    let process = try #require(try description()["processes"].list.first { $0["name"].text == name })
    let port = try #require(process["admin"].text.flatMap { Int($0.split(separator: ":").last ?? "") }, "\(name)")
    return try RawConnection.request(path, method: method, port: port)
  }

  /// Where everything is, and the certificates of an operator, as commands and services read it.
  func addresses() throws -> [String: String] {
    var addresses: [String: String] = [:]
    for process in try description()["processes"].list.reversed() {
      guard let kind = process["kind"].text, let address = process["address"].text else { continue }
      addresses["CHANCERY_\(kind.uppercased())"] = address
    }
    let tls = try description()["tls"]
    addresses["CHANCERY_TLS_CERT"] = tls["certificate"].text
    addresses["CHANCERY_TLS_KEY"] = tls["key"].text
    addresses["CHANCERY_TLS_CA"] = tls["authority"].text
    return addresses
  }

  /// Ends a process of the cluster as a crash does.
  func kill9(_ name: String) throws { kill(try pid(of: name), SIGKILL) }

  // MARK: - Commands

  /// Runs `chancery` with the addresses of this cluster in its environment.
  func run(_ arguments: String..., input: String = "") async throws -> Program.Outcome {
    try await run(arguments, input: input)
  }

  func run(_ arguments: [String], input: String = "") async throws -> Program.Outcome {
    try await Program.run(Program.chancery, arguments, input: input, environment: try addresses())
  }

  /// Runs a command that must succeed and print JSON.
  func json(
    _ arguments: String..., input: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSON {
    let outcome = try await run(arguments + ["-o", "json"], input: input)
    #expect(
      outcome.status == 0, "\(arguments): \(outcome.errors.suffix(500)) \(log.suffix(500))",
      sourceLocation: sourceLocation)
    return try outcome.json(sourceLocation: sourceLocation)
  }

  /// What a query says, a row a line.
  func query(_ sql: String) async throws -> [String] {
    let outcome = try await Program.run("psql", [try databaseURL(), "-XAtc", sql])
    #expect(outcome.status == 0, "\(outcome.errors)")
    return outcome.output.split(separator: "\n").map(String.init)
  }

  /// Audits, with every signature verified: the invariants must hold, and the audit log must agree.
  func expectSoundness(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let findings = try await json(
      "audit", "--signatures", "--database-url", try databaseURL(), sourceLocation: sourceLocation)
    #expect(findings.list.count >= 9, sourceLocation: sourceLocation)
    for finding in findings.list {
      #expect(finding["violations"].number == 0, "\(finding.value ?? "")", sourceLocation: sourceLocation)
    }
    let log = try await json(
      "audit", "verify-log", "--database-url", try databaseURL(), sourceLocation: sourceLocation)
    #expect(log["faulty"].number == 0, "\(log.value ?? "")", sourceLocation: sourceLocation)
  }
}
