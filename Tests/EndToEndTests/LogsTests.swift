import Foundation
import LocalServers
import Testing

// Proves on real processes what `chancery logs` shows: what services have reported, by each filter; and with --follow what comes,
// also over a restart of Logger. What is older than it is to be kept is dropped.
@Suite("Logs are asked for and followed")
struct LogsTests {
  @Test(.timeLimit(.minutes(2))) func askedAndFollowed() async throws {
    try await DevCluster.with(["--signers", "1"], environment: ["CHANCERY_EVENT_RETENTION": "3"]) { cluster in
      // A partition of a day long ago, and one that is kept; Logger drops the first when it starts.
      let days = try await cluster.query(
        "SELECT to_char((now() AT TIME ZONE 'UTC')::date - ago, 'YYYYMMDD') FROM generate_series(2, 3) ago ORDER BY ago"
      )
      for day in days {
        _ = try await cluster.query(
          """
          CREATE TABLE chancery.events_\(day) PARTITION OF chancery.events
            FOR VALUES FROM ('\(day) 00:00Z') TO ('\(day) 24:00Z')
          """)
      }
      _ = try await cluster.json("keys", "generate", "--count", "3")
      _ = try await cluster.json("records", "generate", "--count", "500")
      let job = try #require(try await cluster.json("sign")["job_id"].text)
      let other = try #require(try await cluster.json("sign")["job_id"].text)
      try await eventually("both jobs are in the logs") {
        try await cluster.json("logs", "--event", "job.done").list.count == 2
      }
      let found = try await cluster.json("logs", "--job", job)
      #expect(found.list.count >= 1 && found.list.allSatisfy { $0["attributes"]["job"].text == job })
      #expect(try await cluster.json("logs", "--job", other, "--event", "job.done").list.count == 1)
      #expect(try await cluster.json("logs", "--job", "none").list.isEmpty)
      let signers = try await cluster.json("logs", "--service", "signer", "--service", "keykeeper").list
      #expect(signers.allSatisfy { ["signer", "keykeeper"].contains($0["service"].text) })
      let ended = try await cluster.json("logs", "--instance", "coordinator-1", "--grep", "RECORDS ARE SIGNED")
      #expect(ended.list.count == 2)
      #expect(try await cluster.json("logs", "--level", "error").list.isEmpty)
      #expect(try await cluster.json("logs", "--event", "job.done", "--tail", "1").list.count == 1)
      #expect(try await cluster.json("logs", "--until", "1h", "--event", "job.done").list.isEmpty)
      #expect(try await cluster.json("logs", "--since", "1h", "--event", "job.done").list.count == 2)
      let times = try await cluster.json("logs").list.compactMap { $0["at"].text }
      #expect(times.count > 2)

      let file = cluster.directory.appending(path: "followed")
      let follower = try await ServerProcess(
        [Program.chancery, "logs", "-f", "--event", "job.done", "--tail", "1", "-o", "jsonl"], log: file,
        environment: try cluster.addresses())
      func followed() -> [String] {
        let lines = ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n")
        return lines.filter { $0.contains(#""event":"job.done""#) }.map(String.init)
      }
      try await eventually("the last one is shown") { followed().count == 1 }
      #expect(followed()[0].contains(other))
      let third = try #require(try await cluster.json("sign")["job_id"].text)
      try await eventually("the next one is shown") { followed().count == 2 }
      #expect(followed()[1].contains(third))

      // It goes on when Logger is back.
      let before = try cluster.pid(of: "logger")
      try cluster.kill9("logger")
      try await eventually("Logger runs again") { try cluster.pid(of: "logger") != before }
      try await eventually("Logger takes reports again") {
        try await cluster.run("call", "Metrics/Get", "{}").output.contains("coordinator-1")
      }
      try await eventually("a later one is shown") {
        _ = try await cluster.json("sign")
        return followed().count > 2
      }
      let left = try await cluster.query(
        "SELECT count(*) FROM pg_class WHERE relname IN ('events_\(days[0])', 'events_\(days[1])')")
      #expect(left == ["1"], "the day before yesterday is kept, the one before that is not")
      await follower.signal(SIGINT)
      _ = try await follower.waitForExit(within: .seconds(10))
    }
  }
}
