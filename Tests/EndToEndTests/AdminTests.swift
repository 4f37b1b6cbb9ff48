import Foundation
import LocalServers
import TestWorld
import Testing

// Proves what the admin ports of a cluster of real processes tell: numbers that Prometheus takes and that agree with the
// database when a job is done, who is alive and who is ready while something is away, and a clear word when the port is taken.
@Suite("The admin ports tell what is so")
struct AdminTests {
  private static let services = ["coordinator-1", "keykeeper-1", "logger", "signer-1"]

  // MARK: - Numbers

  @Test func numbersAreThoseOfTheDatabase() async throws {
    try await DevCluster.with { cluster in
      try await Self.sign(cluster)
      let batches = try await cluster.query("SELECT count(*) FROM chancery.batches WHERE state = 'signed'")
      let signatures = try await cluster.query("SELECT count(*) FROM chancery.signatures")
      let grants = try await cluster.query("SELECT count(*) FROM chancery.key_leases")
      #expect(batches == ["20"] && signatures == ["2000"])
      // The client may hear that the job is done a moment before the last batch is counted.
      try await eventually("the last batch was counted") {
        try Exposition(cluster, "coordinator-1").sum("chancery_batches_committed_total") >= 20
      }
      let coordinator = try Exposition(cluster, "coordinator-1")
      #expect(coordinator.sum("chancery_signatures_stored_total") == 2000)
      #expect(coordinator.sum("chancery_batches_committed_total") == 20)
      #expect(coordinator.sum("chancery_records_put_total") == 2000)
      #expect(coordinator.sum("chancery_jobs_submitted_total") == 1)
      #expect(coordinator.sum("chancery_batches_refused_total") == 0)
      #expect(coordinator.sum("chancery_batches_returned_total") == 0)
      let keyKeeper = try Exposition(cluster, "keykeeper-1")
      #expect(["\(Int(keyKeeper.sum("chancery_leases_granted_total")))"] == grants)
      try await eventually("the backlog is known to be empty") {
        let backlog = try Exposition(cluster, "coordinator-1")
        return ["chancery_jobs_running", "chancery_batches_pending", "chancery_batches_leased"].allSatisfy {
          backlog.sum($0) == 0
        }
      }
      let signer = try Exposition(cluster, "signer-1")
      #expect(signer.sum("chancery_records_signed_total") == 2000)
      try await eventually("the signer has heard that all is stored, and the keys are back") {
        try Exposition(cluster, "signer-1").sum("chancery_batches_signed_total") == 20
          && Exposition(cluster, "keykeeper-1").sum("chancery_leases_released_total")
            == keyKeeper.sum("chancery_leases_granted_total")
      }
      try await eventually("all of them are stored as released") {
        try await cluster.query("SELECT count(*) FROM chancery.key_leases WHERE outcome = 'released'") == grants
      }
    }
  }

  @Test func prometheusTakesThem() async throws {
    let cluster = try await DevCluster.shared.value
    try await Self.sign(cluster)
    for service in Self.services {
      let page = try cluster.admin(service, "/metrics")
      #expect(page.status == 200 && page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let check = try await Program.run("promtool", ["check", "metrics"], input: page.body)
      #expect(check.status == 0 && check.output.isEmpty && check.errors.isEmpty, "\(service): \(check.errors)")
      // Help is written for each, not made of its name.
      let described = try Exposition(cluster, service)
      for name in described.families { #expect(described.help[name]?.contains(" ") == true, "\(name)") }
      for name in [
        "chancery_build_info", "chancery_ready", "process_cpu_seconds_total", "process_resident_memory_bytes",
      ] {
        #expect(described.families.contains(name), "\(service): \(name)")
      }
      let head = try cluster.admin(service, "/metrics", method: "HEAD")
      #expect(head.status == 200 && head.body.isEmpty && Int(head.headers["content-length"] ?? "")! > 1000)
    }
    #expect(
      try await Program.run("promtool", ["check", "metrics"], input: "# TYPE a_total gauge\na_total 1\n").status != 0)
  }

  static func sign(_ cluster: DevCluster) async throws {
    _ = try await cluster.json("keys", "generate", "--count", "4", "--algorithm", "ed25519")
    _ = try await cluster.json("records", "generate", "--count", "2000", "--size", "64")
    _ = try await cluster.json("sign", "--batch-size", "100", "--algorithm", "ed25519")
  }

  // MARK: - Probes

  @Test func eachServiceNamesWhatItNeeds() async throws {
    let cluster = try await DevCluster.shared.value
    let needs = [
      "coordinator-1": ["database"], "keykeeper-1": ["database", "redis"], "logger": ["database"],
      "signer-1": ["coordinator", "keykeeper"],
    ]
    for (service, names) in needs {
      try await eventually("\(service) is ready") { try cluster.admin(service, "/readyz").status == 200 }
      let lines = (["ping", "serving"] + names).map { "[+]\($0) ok\n" }
      #expect(try cluster.admin(service, "/readyz?verbose").body == lines.joined() + "readyz check passed\n")
      #expect(try cluster.admin(service, "/livez").body == "ok\n")
      #expect(try cluster.admin(service, "/startupz").body == "ok\n")
      let version = try cluster.admin(service, "/version")
      #expect(version.headers["content-type"] == "application/json" && version.body.contains("\"name\":\"\(service)\""))
      #expect(try cluster.admin(service, "/metrics", method: "POST").status == 405)
      #expect(try cluster.admin(service, "/nothing").status == 404)
    }
  }

  @Test func whatIsAwayMakesUnreadyAndKeepsAlive() async throws {
    try await DevCluster.with { cluster in
      func expect(_ service: String, lacks name: String) async throws {
        try await eventually("\(service) lacks \(name)") { try cluster.admin(service, "/readyz/\(name)").status == 503 }
        let answer = try cluster.admin(service, "/readyz")
        #expect(answer.status == 503 && answer.body.contains("[-]\(name) failed: "), "\(answer.body)")
        #expect(try cluster.admin(service, "/readyz?exclude=\(name)").status == 200)
        #expect(try cluster.admin(service, "/livez?verbose").body == "[+]ping ok\nlivez check passed\n")
        #expect(try Exposition(cluster, service).value("chancery_ready", ["check": name]) == 0)
      }
      func stopped(_ pids: [Int32], _ body: () async throws -> Void) async throws {
        for pid in pids { kill(pid, SIGSTOP) }
        defer { for pid in pids { kill(pid, SIGCONT) } }
        try await body()
      }
      try await stopped([try cluster.pid(of: "redis")]) { try await expect("keykeeper-1", lacks: "redis") }
      try await stopped([try cluster.pid(of: "coordinator-1")]) { try await expect("signer-1", lacks: "coordinator") }
      let backends = try await cluster.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
      try await stopped([try cluster.pid(of: "postgres")] + backends.compactMap { Int32($0) }) {
        for service in ["coordinator-1", "keykeeper-1", "logger"] { try await expect(service, lacks: "database") }
      }
      for service in Self.services {
        try await eventually("\(service) is ready again") { try cluster.admin(service, "/readyz").status == 200 }
      }
    }
  }

  // MARK: - Where it listens

  @Test func aPortThatIsTakenIsNamed() async throws {
    let cluster = try await DevCluster.shared.value
    let taken = try cluster.address(of: "logger")
    let arguments = ["serve", "signer", "--admin-listen", taken]
    let outcome = try await Program.run(Program.chancery, arguments, environment: try cluster.addresses())
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("--admin-listen") && outcome.errors.contains("cannot listen on \(taken)"))
    let nonsense = try await Program.run(Program.chancery, ["serve", "signer", "--admin-listen", "nonsense"])
    #expect(nonsense.status == 64 && nonsense.errors.contains("'nonsense'"), "\(nonsense.errors)")
  }

  /// Without one, and with one from the environment on a Unix socket.
  @Test(arguments: ["none", "unix:"]) func whereItListens(_ setting: String) async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    let setting = setting == "none" ? "none" : "unix:\(folder.path)/admin"
    let ready = "\(folder.path)/ready"
    let tls = cluster.directory.appending(path: "tls").path
    let environment = try cluster.addresses().merging([
      "CHANCERY_ADMIN_LISTEN": setting, "CHANCERY_TLS_CERT": "\(tls)/signer.crt",
      "CHANCERY_TLS_KEY": "\(tls)/signer.key",
    ]) { $1 }
    let signer = try await ServerProcess(
      [Program.chancery, "serve", "signer", "--ready-file", ready], log: URL(filePath: "\(folder.path)/log"),
      environment: environment, deathSignal: SIGKILL)
    try await eventually("the signer is ready") { FileManager.default.fileExists(atPath: ready) }
    #expect(try String(contentsOfFile: ready, encoding: .utf8) == "-\n\(setting == "none" ? "-" : setting)\n")
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/admin") == (setting != "none"))
    await signer.signal(SIGTERM)
    #expect(try await signer.waitForExit(within: .seconds(30)) == 0)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/admin"))
  }
}

/// The numbers of a service, read from what its admin port tells.
struct Exposition {
  private(set) var help: [String: String] = [:]
  /// The names that have a type.
  private(set) var families: Set<String> = []
  private var series: [(name: String, labels: String, value: Double)] = []

  init(_ cluster: DevCluster, _ service: String) throws {
    let page = try cluster.admin(service, "/metrics")
    #expect(page.status == 200)
    for line in page.body.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      if line.hasPrefix("# HELP ") {
        help[words[2]] = words[3]
      } else if line.hasPrefix("# TYPE ") {
        families.insert(words[2])
      } else {
        let space = try #require(line.lastIndex(of: " "))
        let parts = line[..<space].split(separator: "{", maxSplits: 1).map(String.init)
        let value = try #require(Double(line[line.index(after: space)...]))
        series.append((parts[0], parts.count > 1 ? "{" + parts[1] : "", value))
      }
    }
  }

  /// The names of all series.
  var names: Set<String> { Set(series.map(\.name)) }

  /// The sum of all series of a name, which must be there.
  func sum(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) -> Double {
    let values = series.filter { $0.name == name }.map(\.value)
    #expect(!values.isEmpty, "there is no \(name)", sourceLocation: sourceLocation)
    return values.reduce(0, +)
  }

  /// The value of the series that has these labels.
  func value(_ name: String, _ labels: [String: String]) -> Double? {
    series.first { one in
      one.name == name && labels.allSatisfy { one.labels.contains("\($0)=\"\($1)\"") }
    }?.value
  }
}
