import Foundation
import LocalServers
import Testing

// Proves what `chancery dev` promises: what it was given is there when it starts again, after a stop and after a crash of its
// own; nothing of it is left running; what dies comes back at the same address; services are no superusers; and a cluster in
// memory needs no servers.
@Suite("A private cluster keeps its word")
struct DevCommandTests {
  @Test func everythingIsThereAfterAStopAndAfterACrash() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let directory = URL(filePath: folder.path)
    var exported = ""
    var pids: [Int32] = []
    try await DevCluster.with(["--keykeepers", "2"], in: directory) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "3")
      _ = try await cluster.json("records", "generate", "--count", "50")
      _ = try await cluster.json("sign")
      exported = try await cluster.run("signatures", "export").output
      pids = try cluster.processes().values.map(\.pid)
    }
    #expect(exported.split(separator: "\n").count == 50 && pids.count == 7)
    for pid in pids { #expect(kill(pid, 0) != 0, "process \(pid) still runs") }

    let crashing = try await DevCluster.start([], in: directory)
    #expect(try await crashing.run("signatures", "export").output == exported)
    pids = try crashing.processes().values.map(\.pid)
    try await crashing.crash()
    try await eventually("no process is left") { pids.allSatisfy { kill($0, 0) != 0 } }

    // The next is not taken for the one that crashed, whose cluster.json is still there.
    try await DevCluster.with(in: directory) { cluster in
      #expect(try await cluster.json("keys", "list").list.count == 3)
      #expect(try await cluster.run("signatures", "export").output == exported)
      let again = try await cluster.json("sign")
      #expect(again["already_signed"].number == 50 && again["signed"].number == 0)
      try await cluster.expectSoundness()
    }
  }

  @Test func whatDiesComesBackWhereItWas() async throws {
    try await DevCluster.with { cluster in
      _ = try await cluster.json("keys", "generate")
      let before = try cluster.processes()
      for process in before.values { kill(process.pid, SIGKILL) }
      try await eventually("all were started again") {
        let now = try cluster.processes()
        return before.allSatisfy { name, process in
          now[name].map { $0.pid != process.pid && $0.address == process.address } ?? false
        }
      }
      try await eventually("all serve") { try await cluster.run("health").status == 0 }
      _ = try await cluster.json("records", "generate", "--count", "10")
      #expect(try await cluster.json("sign")["signed"].number == 10)
      try await cluster.expectSoundness()
    }
  }

  @Test func eachServiceConnectsAsItsOwnRole() async throws {
    let cluster = try await DevCluster.shared.value
    let rows = try await cluster.query(
      """
      SELECT DISTINCT application_name || ' ' || usename || ' ' || usesuper
      FROM pg_stat_activity JOIN pg_user USING (usename) WHERE application_name LIKE 'chancery-%' ORDER BY 1
      """)
    let expected = ["coordinator", "keykeeper", "logger"].map { "chancery-\($0) chancery_\($0) false" }
    #expect(rows == expected)
  }

  @Test func aDirectoryIsUsedByOneAtATime() async throws {
    let cluster = try await DevCluster.shared.value
    let other = try await Program.run(Program.chancery, ["dev", "--data-directory", cluster.directory.path])
    #expect(other.status == 1)
    #expect(other.errors.contains(cluster.directory.path) && other.errors.contains("--data-directory"))
  }

  /// Without Postgres and Redis: everything in one process, and nothing kept.
  @Test func aClusterInMemorySigns() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let log = URL(filePath: "\(folder.path)/log")
    let port = Int.random(in: 20_000..<30_000)
    let dev = try await ServerProcess(
      [Program.chancery, "dev", "--store", "memory", "--port", "\(port)"], log: log, deathSignal: SIGKILL)
    try await eventually("the cluster is ready") {
      try #require(await dev.isRunning)
      return try String(contentsOf: log, encoding: .utf8).contains("LOST")
    }
    let environment = [
      "CHANCERY_COORDINATOR": "127.0.0.1:\(port)", "CHANCERY_KEYKEEPER": "127.0.0.1:\(port + 1)",
      "CHANCERY_LOGGER": "127.0.0.1:\(port + 2)",
    ]
    func run(_ arguments: String..., input: String = "") async throws -> String {
      let outcome = try await Program.run(Program.chancery, arguments, input: input, environment: environment)
      #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
      return outcome.output
    }
    let keys = try folder.write(try await run("keys", "generate", "--count", "3", "-o", "json"), to: "keys.json")
    _ = try await run("records", "generate", "--count", "200")
    _ = try await run("sign", "--batch-size", "20")
    let signatures = try await run("signatures", "export")
    #expect(signatures.split(separator: "\n").count == 200)
    _ = try await run("verify", "--keys", keys, input: signatures)
    await dev.signal(SIGINT)
    #expect(try await dev.waitForExit(within: .seconds(30)) == 0)
  }
}
