import Foundation
import Testing

// Proves on real processes that a job survives the death of any of them: while it runs, one is killed with SIGKILL; the job
// ends with every record signed, and the audit, which also verifies every signature, finds nothing.
@Suite("A job survives the death of a process")
struct CrashTests {
  @Test(arguments: ["signer-1", "coordinator-1", "coordinator-2", "keykeeper-1", "redis", "postgres"])
  func survives(_ victim: String) async throws {
    try await DevCluster.with(["--signers", "2", "--coordinators", "2", "--keykeepers", "2"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "10", "--algorithm", "ed25519")
      _ = try await cluster.json("records", "generate", "--count", "30000", "--size", "64")
      let submitted = try await cluster.json("jobs", "submit", "--batch-size", "50", "--algorithm", "ed25519")
      let id = try #require(submitted["job_id"].text)
      // The database is asked, for it costs less than a command.
      let signed = "SELECT count(*) FROM chancery.batches WHERE state = 'signed'"
      try await eventually("some of the job is signed") { (Int(try await cluster.query(signed)[0]) ?? 0) > 60 }
      let pid = try cluster.pid(of: victim)
      try cluster.kill9(victim)
      if victim != "postgres" {
        #expect((Int(try await cluster.query(signed)[0]) ?? 0) < 600, "the job was over before \(victim) died")
      }
      try await eventually("\(victim) was started again") { (try? cluster.pid(of: victim)).map { $0 != pid } ?? false }

      let ended = try await cluster.json("jobs", "watch", id)
      #expect(ended["state"].text == "done")
      #expect(ended["signed"].number == 30_000 && ended["failed"].number == 0 && ended["pending"].number == 0)
      try await cluster.expectSoundness()
      #expect(cluster.log.contains("\(victim) has ended: starting it again"))
      if victim.hasPrefix("signer") {
        // What it had was given out again.
        #expect(try await cluster.query("SELECT max(attempt) > 1 FROM chancery.batches") == ["t"])
      }
      if victim == "redis" {
        #expect(try await cluster.query("SELECT max(generation) > 1 FROM chancery.generations") == ["t"])
      }
    }
  }
}
