import Foundation
import LocalServers
import Testing

// Proves what jobs promise to those who submit them: counts that add up when two jobs want the same records, one job for one
// idempotency key, a cluster that still has everything when it is stopped and started again, and one that needs no servers.
@Suite("Jobs keep their word")
struct JobTests {
  @Test func twoJobsOverTheSameRecordsSignEachOnce() async throws {
    try await DevCluster.with(["--signers", "2"]) { cluster in
      for algorithm in ["ed25519", "ecdsa-p256"] {
        _ = try await cluster.json("keys", "generate", "--count", "5", "--algorithm", algorithm)
      }
      _ = try await cluster.json("records", "generate", "--count", "10000", "--size", "32")
      async let first = cluster.json("sign", "--algorithm", "ed25519", "--batch-size", "70")
      async let second = cluster.json("sign", "--algorithm", "ecdsa-p256", "--batch-size", "110")
      async let third = cluster.json("sign", "--algorithm", "ed25519", "--batch-size", "1000")
      var signed = 0
      for job in try await [first, second, third] {
        let counts = ["signed", "already_signed", "failed"].map { job[$0].number ?? -1 }
        #expect(counts.reduce(0, +) == 10_000 && job["planned"].number == 10_000, "\(counts)")
        #expect(counts[2] == 0 && job["state"].text == "done")
        signed += counts[0]
      }
      #expect(signed == 10_000)
      #expect(try await cluster.query("SELECT count(*) FROM chancery.signatures") == ["10000"])
      try await cluster.expectSoundness()
    }
  }

  @Test func anIdempotencyKeyNamesOneJob() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate")
    _ = try await cluster.json("records", "generate", "--count", "1")
    let first = try await cluster.json("jobs", "submit", "--idempotency-key", "once", "--batch-size", "10")
    let again = try await cluster.json("jobs", "submit", "--idempotency-key", "once", "--batch-size", "10")
    #expect(first["job_id"].text != nil && first["job_id"].text == again["job_id"].text)
    let other = try await cluster.run("jobs", "submit", "--idempotency-key", "once", "--batch-size", "11", "-o", "json")
    #expect(other.status == 1 && other.errors.contains("ALREADY_EXISTS") && other.errors.contains("once"))
  }

  @Test func aClusterThatIsStartedAgainHasEverything() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let directory = URL(filePath: folder.path)
    var exported = ""
    try await DevCluster.with(in: directory) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "3")
      _ = try await cluster.json("records", "generate", "--count", "50")
      _ = try await cluster.json("sign")
      exported = try await cluster.run("signatures", "export").output
    }
    #expect(exported.split(separator: "\n").count == 50)
    try await DevCluster.with(in: directory) { cluster in
      #expect(try await cluster.json("keys", "list").list.count == 3)
      #expect(try await cluster.run("signatures", "export").output == exported)
      let again = try await cluster.json("sign")
      #expect(again["already_signed"].number == 50 && again["signed"].number == 0)
      try await cluster.expectSoundness()
    }
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
