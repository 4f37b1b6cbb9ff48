import Foundation
import LocalServers
import Testing

// Proves on real processes what becomes of a signer that is stopped, not dead, with a batch that it has signed and not sent:
// its work is leased to another within five seconds; when it goes on, its result is refused, and it says so.
@Suite("A signer that was stopped is too late")
struct StoppedSignerTests {
  @Test func itsWorkIsLeasedAgainAndItsResultRefused() async throws {
    try await DevCluster.with(
      ["--signers", "1"], environment: ["CHANCERY_FAILPOINTS": "signer.signed=stop@5"]
    ) { cluster in
      // More than a signer holds at a time: those of one that is stopped come free only when their leases end.
      _ = try await cluster.json("keys", "generate", "--count", "40", "--algorithm", "ed25519")
      _ = try await cluster.json("records", "generate", "--count", "5000", "--size", "64")
      let submitted = try await cluster.json("jobs", "submit", "--batch-size", "100", "--algorithm", "ed25519")
      let job = try #require(submitted["job_id"].text)
      let stopped = try cluster.pid(of: "signer-1")
      try await eventually("the signer has stopped") { Self.state(of: stopped) == "T" }
      let since = ContinuousClock.now
      let held = try await cluster.query(
        "SELECT seq || '/' || attempt FROM chancery.batches WHERE state = 'leased'")
      #expect(!held.isEmpty)

      let log = cluster.directory.appending(path: "late.log")
      let tls = cluster.directory.appending(path: "tls").path
      let other = try await ServerProcess(
        [
          Program.chancery, "serve", "signer", "--name", "other", "--admin-listen", "none", "--tls-cert",
          "\(tls)/signer.crt", "--tls-key",
          "\(tls)/signer.key", "--tls-ca", "\(tls)/ca.crt",
        ], log: log, environment: try cluster.addresses())
      let list = held.map { "'\($0)'" }.joined(separator: ", ")
      try await eventually("the work of the stopped signer was leased again") {
        let left = "SELECT count(*) FROM chancery.batches WHERE seq || '/' || attempt IN (\(list))"
        return try await cluster.query(left) == ["0"]
      }
      #expect(since.duration(to: .now) < .seconds(5))
      #expect(try await cluster.json("jobs", "watch", job)["signed"].number == 5000)

      kill(stopped, SIGCONT)
      try await eventually("the stopped signer was refused, and says so") {
        cluster.log(of: "signer-1").contains(#""event":"result.refused""#)
      }
      #expect(cluster.log(of: "coordinator-1").contains(#""event":"batch.refused""#))
      try await eventually("the metrics tell") {
        let metrics = try await cluster.json("call", "Metrics/Get", "{}")["services"].list.flatMap {
          $0["metrics"].list
        }
        return ["chancery_results_refused_total", "chancery_batches_refused_total"].allSatisfy { name in
          metrics.contains { $0["name"].text == name && ($0["value"].number ?? 0) > 0 }
        }
      }
      try await cluster.expectSoundness()
      await other.signal(SIGTERM)
      #expect(try await other.waitForExit(within: .seconds(30)) == 0)
    }
  }

  /// The letter of a process's state.
  private static func state(of pid: Int32) -> Character? {
    let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    return stat?.split(separator: ")").last?.dropFirst().first
  }
}
