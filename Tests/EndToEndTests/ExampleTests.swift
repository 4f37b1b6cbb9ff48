import Foundation
import LocalServers
import Testing

// Proves that the examples in the help do what they say: every one that the program itself names is run by a shell as it stands
// there, but for what cannot be known beforehand (ids, addresses) and for sizes. None is forgotten: they come from the program.
@Suite("Every example in the help can be run")
struct ExampleTests {
  /// An example, and the command that it belongs to.
  private struct Example {
    var path: [String]
    var line: String
    var command: String { path.joined(separator: " ") }
  }

  /// Those that run until they are stopped.
  private static let services: Set = ["serve coordinator", "serve keykeeper", "serve signer", "serve logger", "dev"]
  /// Those that take a job that still runs, in the order of the help.
  private static let changingJobs: Set = ["jobs pause", "jobs resume", "jobs cancel"]

  /// What is added to an example so that it is short; the last value of an option counts.
  private static let smaller: [String: String] = [
    "demo": " --records 300 --keys 3 --batch-size 100 --openssl-sample 2",
    "bench sign": " --records 300 --keys 3 --batch-size 100 --rounds 1", "bench rpc": " --rounds 1",
    "bench watch": " --watchers 3 --records 300 --keys 3",
    "records generate": " --count 200", "keys generate": " --count 2",
    // Real faults: `make chaos`. Here the arguments are checked, and all faults are listed.
    "chaos": " --list",
    "top": " --once",
  ]

  @Test(.timeLimit(.minutes(5))) func runs() async throws {
    let examples = try await Self.all()
    try await DevCluster.with { cluster in
      let desk = try await Desk(cluster)
      defer { desk.folder.remove() }
      for example in examples where !Self.services.contains(example.command) {
        if !Self.changingJobs.contains(example.command) { try await expectSuccess(example, desk) }
      }
      // A signer that is stopped leaves a job running for as long as it takes.
      kill(try cluster.pid(of: "signer-1"), SIGSTOP)
      let waiting = try #require(try await cluster.json("jobs", "submit")["job_id"].text)
      for example in examples where Self.changingJobs.contains(example.command) {
        try await expectSuccess(example, desk, job: waiting)
      }
      kill(try cluster.pid(of: "signer-1"), SIGCONT)
      for example in examples where Self.services.contains(example.command) { try await expectStart(example, desk) }
    }
    #expect(Self.services.union(Self.changingJobs).subtracting(examples.map(\.command)).isEmpty)
  }

  /// All examples, each command at least one.
  private static func all() async throws -> [Example] {
    var examples: [Example] = []
    for path in try await CommandTree.paths() {
      let help = try await CommandTree.discussion(of: path)
      let lines = help.components(separatedBy: "Example: ").dropFirst().joined(separator: "\n")
        .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
      #expect(lines.first?.hasPrefix("chancery \(path.joined(separator: " "))") == true, "\(path): \(lines)")
      for line in lines {
        #expect(line.hasPrefix("chancery "), "no text stands behind examples: \(path): \(line)")
        examples.append(Example(path: path, line: line))
      }
    }
    return examples
  }

  private func expectSuccess(_ example: Example, _ desk: Desk, job: String? = nil) async throws {
    var line = try desk.fill(example.line, job: job) + (Self.smaller[example.command] ?? "")
    if example.command == "simulate", !line.contains("--scenario") { line += " --records 20" }
    if line.hasSuffix("--seeds 100 --records 20") { line += " --seeds 2" }
    let outcome = try await Program.run(
      "bash", ["-c", "cd '\(desk.folder.path)' && \(line)"], environment: desk.environment, limit: .seconds(120))
    // A stream that is cut by its time limit says so.
    let status: Int32 = line.contains("Metrics/Watch") ? 2 : 0
    #expect(outcome.status == status, "\(line): \(outcome.output.suffix(300)) \(outcome.errors.suffix(600))")
  }

  /// Starts what runs until it is stopped; it must come up, and stop in order.
  private func expectStart(_ example: Example, _ desk: Desk) async throws {
    let ready = "\(desk.folder.path)/\(example.path.joined(separator: "-")).ready"
    var line = try desk.fill(example.line)
    var environment = desk.environment
    if example.command == "dev" {
      line += " --data-directory '\(ready)' --port 0"
    } else {
      line +=
        " --ready-file '\(ready)' --admin-listen 127.0.0.1:0"
        + (example.command == "serve signer" ? "" : " --listen 127.0.0.1:0")
      let name = example.path[1]
      environment["CHANCERY_TLS_CERT"] = desk.cluster.directory.appending(path: "tls/\(name).crt").path
      environment["CHANCERY_TLS_KEY"] = desk.cluster.directory.appending(path: "tls/\(name).key").path
    }
    let log = desk.folder.path + "/log"
    let process = try await ServerProcess(
      ["bash", "-c", "exec \(line)"], log: URL(filePath: log), environment: environment, deathSignal: SIGTERM)
    let file = example.command == "dev" ? "\(ready)/cluster.json" : ready
    func said() -> String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
    try await eventually("\(line) is ready") {
      try #require(await process.isRunning, "\(line) has ended: \(said().suffix(600))")
      return FileManager.default.fileExists(atPath: file)
    }
    await process.signal(SIGTERM)
    #expect(try await process.waitForExit(within: .seconds(60)) == 0, "\(line): \(said().suffix(600))")
  }

  /// Where a user sits: a folder with the files that examples name, and a cluster that has what they ask for.
  private struct Desk {
    let cluster: DevCluster
    let folder: Folder
    let environment: [String: String]
    private let job: String
    private let key: Int
    private let record: Int

    init(_ cluster: DevCluster) async throws {
      self.cluster = cluster
      folder = try Folder()
      for algorithm in ["ecdsa-p256", "ed25519"] {
        _ = try await cluster.json("keys", "generate", "--algorithm", algorithm)
      }
      key = try #require(try await cluster.json("keys", "generate")[0]["key_id"].number)
      let invoice = #"{"external_id": "invoice-1", "payload": "an invoice"}"#
      record = try #require(try await cluster.json("records", "put", "-", input: invoice)["last_record_id"].number)
      job = try #require(try await cluster.json("sign")["job_id"].text)
      _ = try folder.write("number,body\ninvoice-2,another\n", to: "invoices.csv")
      _ = try await cluster.query(
        """
        CREATE SCHEMA billing; CREATE TABLE billing.invoices (id bigint PRIMARY KEY, body text NOT NULL);
        GRANT USAGE ON SCHEMA billing TO chancery_coordinator; GRANT SELECT ON billing.invoices TO chancery_coordinator
        """)
      let phrase = try folder.write("correct horse\n", to: "phrase.txt")
      let pem = ["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "file:\(phrase)"]
      let made = try await Program.run("openssl", pem + ["-out", "\(folder.path)/invoice-key.pem"])
      try #require(made.status == 0, "\(made.errors)")
      _ = try folder.write(try await cluster.run("keys", "list", "-o", "json").output, to: "keys.json")
      let program = URL(filePath: Program.chancery).deletingLastPathComponent().path
      let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
      environment = try cluster.addresses().merging([
        "PATH": "\(program):\(path)", "CHANCERY_CONFIG": "\(folder.path)/config.json", "CHANCERY_CONTEXT": "",
        "CHANCERY_DATABASE_URL": try cluster.databaseURL(),
      ]) { $1 }
      let context = ["context", "set", "production", "--timeout", "20"]
      #expect(try await Program.run(Program.chancery, context, environment: environment).status == 0)
    }

    /// An example with what is there in the place of what it takes for granted.
    func fill(_ line: String, job other: String? = nil) throws -> String {
      let addresses = try cluster.addresses()
      var line = line.replacing("0190a3c2-…", with: other ?? job)
        .replacing("keys get 17 ", with: "keys get \(key) ").replacing("able 17 ", with: "able \(key) ")
        .replacing("retire 17 ", with: "retire \(key) ").replacing("records get 42 ", with: "records get \(record) ")
        .replacing("redis://cache", with: "unix://\(try cluster.redisSocket())")
        .replacing("/etc/chancery/kek", with: cluster.directory.appending(path: "kek").path)
        .replacing(/postgresql:\/\/[a-z]+@db\/chancery/, with: "'\(try cluster.databaseURL())'")
      for (service, address) in [("COORDINATOR", "127.0.0.1:7420"), ("KEYKEEPER", "127.0.0.1:7421")] {
        line = line.replacing(address, with: addresses["CHANCERY_\(service)"] ?? address)
      }
      return line
    }
  }
}
