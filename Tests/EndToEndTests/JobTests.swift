import Foundation
import Testing

// Proves what jobs promise to those who submit them: counts that add up when two jobs want the same records, and one job for
// one idempotency key.
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
}
