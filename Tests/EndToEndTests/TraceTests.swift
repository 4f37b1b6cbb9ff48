import Foundation
import Testing

// Proves that a job is one trace: what the coordinator, the signer and KeyKeeper log of it, and what Logger stores, is found by
// the trace of whoever ran the command.
@Suite("A job is found by its trace")
struct TraceTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

  private func sign(_ cluster: DevCluster, in parent: String) async throws -> JSON {
    let environment = try cluster.addresses().merging(["TRACEPARENT": parent, "TRACESTATE": "vendor=1"]) { $1 }
    let outcome = try await Program.run(
      Program.chancery, ["sign", "--batch-size", "5", "-o", "json"], environment: environment)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try outcome.json()
  }

  /// What a service has logged of an event in a trace.
  private func lines(_ cluster: DevCluster, of service: String, _ event: String) -> [JSON] {
    cluster.log(of: service).split(separator: "\n").compactMap { line in
      (try? JSONSerialization.jsonObject(with: Data(line.utf8))).map { JSON(value: $0) }
    }.filter { $0["event"].text == event && $0["trace"].text == Self.trace }
  }

  @Test func inTheLogsOfEveryService() async throws {
    try await DevCluster.with(["--signers", "1"], environment: ["CHANCERY_LOG_LEVEL": "debug"]) { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "2")
      _ = try await cluster.json("records", "generate", "--count", "20")
      let job = try await sign(cluster, in: "00-\(Self.trace)-00f067aa0ba902b7-01")
      #expect(job["trace_id"].text == Self.trace && job["signed"].number == 20)
      let expected = [
        ("coordinator-1", "job.submitted", 1), ("keykeeper-1", "lease.granted", 4), ("signer-1", "result.stored", 4),
        ("coordinator-1", "batch.committed", 4), ("coordinator-1", "job.done", 1),
      ]
      for (service, event, count) in expected {
        try await eventually("\(service) has logged \(event)") { lines(cluster, of: service, event).count == count }
      }
      // A batch is one span, from the coordinator to the signer and back.
      let signed = lines(cluster, of: "signer-1", "result.stored")
      let stored = lines(cluster, of: "coordinator-1", "batch.committed")
      let spans = Set(signed.compactMap { $0["span"].text })
      #expect(spans.count == 4 && spans == Set(stored.compactMap { $0["span"].text }))
      for line in signed + stored {
        for field in ["ts", "level", "service", "message", "batch", "attempt", "key", "epoch"] {
          #expect(line[field].text?.isEmpty == false, "\(field) of \(line.value ?? "")")
        }
        #expect(line["job"].text == job["job_id"].text)
      }
      let events = "SELECT count(*) FROM chancery.events WHERE attributes->>'trace' = '\(Self.trace)'"
      try await eventually("Logger has them too") { try await cluster.query(events) == ["2"] }
      #expect(try await cluster.query("SELECT tracestate FROM chancery.jobs") == ["vendor=1"])

      let untraced = try await sign(cluster, in: "00-\(Self.trace)-0000000000000000-01")
      #expect(untraced["trace_id"].text?.count == 32 && untraced["trace_id"].text != Self.trace)
    }
  }
}
