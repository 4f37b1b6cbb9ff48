import Foundation
import Testing

// Proves on real processes that a job can be paused, taken up again and cancelled while it runs: what was signed stays, what
// was not is signed by another job, and the invariants hold.
@Suite("A job can be controlled while it runs")
struct JobControlTests {
  private func signed(_ cluster: DevCluster, _ job: String) async throws -> Int {
    try #require(try await cluster.json("jobs", "get", job)["signed"].number)
  }

  @Test func pauseResumeAndCancel() async throws {
    try await DevCluster.with(["--signers", "2"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "4")
      _ = try await cluster.json("records", "generate", "--count", "4000", "--size", "32")
      let job = try #require(try await cluster.json("jobs", "submit", "--batch-size", "2")["job_id"].text)
      try await eventually("something is signed") { try await signed(cluster, job) > 0 }
      #expect(try await cluster.json("jobs", "pause", job)["state"].text == "paused")
      // What was under way ends; then nothing moves.
      try await eventually("the batches under way have ended") {
        try await cluster.query("SELECT count(*) FROM chancery.batches WHERE state = 'leased'") == ["0"]
      }
      let pausedAt = try await signed(cluster, job)
      #expect(pausedAt < 4000)
      #expect(try await cluster.json("jobs", "pause", job)["state"].text == "paused", "to ask again is no error")
      #expect(try await signed(cluster, job) == pausedAt)
      #expect(try await cluster.json("jobs", "resume", job)["state"].text == "running")
      try await eventually("it goes on") { try await signed(cluster, job) > pausedAt }

      let ended = try await cluster.json("jobs", "cancel", job, "--yes")
      #expect(ended["state"].text == "cancelled" && ended["ended_at"].text != nil)
      let kept = try #require(ended["signed"].number)
      #expect(kept > pausedAt && kept < 4000)
      let watched = try await cluster.run("jobs", "watch", job)
      #expect(watched.status == 1 && watched.errors.contains("was cancelled"))
      for action in ["pause", "resume", "retry"] {
        let refused = try await cluster.run("jobs", action, job)
        #expect(refused.status == 1 && refused.errors.contains("cancelled"), "\(action): \(refused.errors)")
      }
      let rest = try await cluster.json("sign", "--batch-size", "200")
      #expect(rest["signed"].number == 4000 - kept && rest["already_signed"].number == kept)
      #expect(try await cluster.query("SELECT count(*) FROM chancery.signatures") == ["4000"])
      try await cluster.expectSoundness()
      let events = try await cluster.query("SELECT name FROM chancery.events WHERE name LIKE 'job.%' ORDER BY 1")
      #expect(Set(events).isSuperset(of: ["job.cancelled", "job.paused", "job.running", "job.submitted"]))
    }
  }

  @Test func unknownJobs() async throws {
    let cluster = try await DevCluster.shared.value
    for action in ["pause", "resume", "cancel", "retry"] {
      let yes = action == "cancel" ? ["--yes"] : []
      let malformed = try await cluster.run(["jobs", action, "nonsense"] + yes)
      #expect(malformed.status == 1 && malformed.errors.contains("'nonsense' is not a UUID"), "\(malformed.errors)")
      let unknown = try await cluster.run(["jobs", action, UUID().uuidString.lowercased()] + yes)
      #expect(unknown.status == 1 && unknown.errors.contains("there is no job"), "\(unknown.errors)")
    }
    let unasked = try await cluster.run("jobs", "cancel", UUID().uuidString)
    #expect(unasked.status == 64 && unasked.errors.contains("--yes"))
  }
}
