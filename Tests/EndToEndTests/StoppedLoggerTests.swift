import Foundation
import RPC
import RPCTransport
import Schema
import Testing

// Proves on real processes that nobody waits for Logger: while it is stopped, not dead, so that its connections stay open and take
// nothing, a job takes no longer than before. What is dropped meanwhile is counted, and told when Logger goes on.
@Suite("A Logger that is stopped slows nobody")
struct StoppedLoggerTests {
  @Test(.timeLimit(.minutes(3))) func signingGoesOnAndDropsAreCounted() async throws {
    try await DevCluster.with(["--signers", "1"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "10", "--algorithm", "ed25519")
      let logger = try cluster.pid(of: "logger")
      kill(logger, SIGSTOP)
      let whileStopped = try await secondsOfJob(cluster)
      try await eventually("the coordinator has given its stream up") {
        cluster.log(of: "coordinator-1").contains(#""event":"telemetry.stream_lost""#)
      }
      // Each is an event: more than the coordinator's queue holds. The job must not end meanwhile.
      kill(try cluster.pid(of: "signer-1"), SIGSTOP)
      _ = try await cluster.json("records", "generate", "--count", "1")
      let waiting = try #require(try await cluster.json("jobs", "submit", "--algorithm", "ed25519")["job_id"].text)
      try await pause(waiting, times: 1100, cluster)
      kill(try cluster.pid(of: "signer-1"), SIGCONT)
      _ = try await cluster.json("jobs", "resume", waiting)

      kill(logger, SIGCONT)
      try await eventually("what was dropped is counted") {
        let snapshot = try await cluster.json("call", "Metrics/Get", "{}")
        let coordinator = snapshot["services"].list.first { $0["instance"]["name"].text == "coordinator-1" }
        let dropped = coordinator?["metrics"].list.first { metric in
          metric["name"].text == "chancery_telemetry_dropped_total" && metric["labels"][0]["value"].text == "events"
        }
        return dropped?["value"].number ?? 0 > 100
      }
      let after = try await secondsOfJob(cluster)
      #expect(whileStopped < 3 * after + 2, "\(whileStopped) s while Logger was stopped, \(after) s after")

      // What was in the queue is not lost, and what comes now is told.
      let last = try #require(try await cluster.json("jobs", "submit", "--algorithm", "ed25519")["job_id"].text)
      try await eventually("events are told again") {
        try await !cluster.json("logs", "--job", last, "--event", "job.done").list.isEmpty
      }
      try await cluster.expectSoundness()
    }
  }

  /// Pauses a job again and again, on one connection.
  private func pause(_ job: String, times: Int, _ cluster: DevCluster) async throws {
    let addresses = try cluster.addresses()
    func file(_ name: String) throws -> String { try #require(addresses["CHANCERY_TLS_\(name)"]) }
    let files = TLSFiles(certificate: try file("CERT"), key: try file("KEY"), authority: try file("CA"))
    let loops = EventLoops(threads: 1)
    let connector = TCPConnector(
      endpoint: try Endpoint(parsing: try cluster.address(of: "coordinator-1")), loops: loops,
      tls: try TLSCredentials(files))
    let channel = ClientChannel(connectors: [connector])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await channel.run() }
      let jobs = ChanceryV1.Jobs.Client(channel)
      for _ in 0..<times { _ = try await jobs.pause(.init(jobID: job), options: CallOptions(waitForReady: true)) }
      group.cancelAll()
    }
    await loops.shutdown()
  }

  /// Signs new records; returns how long that took, on the database's clock.
  private func secondsOfJob(_ cluster: DevCluster) async throws -> Double {
    _ = try await cluster.json("records", "generate", "--count", "30000", "--size", "64")
    let job = try await cluster.json("sign", "--batch-size", "500", "--algorithm", "ed25519")
    #expect(job["signed"].number == 30_000)
    let id = try #require(job["job_id"].text)
    let seconds = try await cluster.query(
      "SELECT extract(epoch FROM ended_at - created_at) FROM chancery.jobs WHERE id = '\(id)'")
    return try #require(seconds.first.flatMap { Double($0) })
  }
}
