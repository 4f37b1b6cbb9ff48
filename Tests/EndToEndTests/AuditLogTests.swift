import Foundation
import Testing

// Proves that the audit log says what has happened, that everyone can check it, and that whatever is changed in it is found
// and located; and that services cannot change it.
@Suite("The audit log cannot be changed unseen")
struct AuditLogTests {
  private static let sealed = "SELECT count(*) FROM chancery.audit_pending"

  /// A cluster with a job done, and everything sealed.
  private func withLog(_ body: (DevCluster) async throws -> Void) async throws {
    try await DevCluster.with { cluster in
      _ = try await cluster.json("keys", "generate", "--count", "2")
      _ = try await cluster.json("records", "generate", "--count", "300", "--size", "32")
      _ = try await cluster.json("sign", "--batch-size", "100")
      try await eventually("all entries are sealed") { try await cluster.query(Self.sealed) == ["0"] }
      try await body(cluster)
    }
  }

  private func verify(_ cluster: DevCluster, _ arguments: [String] = []) async throws -> Program.Outcome {
    try await cluster.run(
      ["audit", "verify-log", "--database-url", try cluster.databaseURL(), "-o", "json"] + arguments)
  }

  @Test func itSaysWhatHasHappened() async throws {
    try await withLog { cluster in
      let key = try #require(try await cluster.json("keys", "list")[0]["key_id"].number)
      _ = try await cluster.json("keys", "disable", "\(key)", "--yes")
      _ = try await cluster.json("keys", "enable", "\(key)", "--yes")
      // A signer that is stopped leaves a job running for as long as it takes.
      kill(try cluster.pid(of: "signer-1"), SIGSTOP)
      _ = try await cluster.json("records", "generate", "--count", "10", "--size", "32")
      let waiting = try #require(try await cluster.json("jobs", "submit")["job_id"].text)
      for change in [["pause"], ["resume"], ["cancel", "--yes"]] {
        let outcome = try await cluster.run(["jobs", change[0], waiting] + change.dropFirst())
        #expect(outcome.status == 0, "\(outcome.errors)")
      }
      kill(try cluster.pid(of: "signer-1"), SIGCONT)
      try await eventually("all entries are sealed") { try await cluster.query(Self.sealed) == ["0"] }
      let events = try await cluster.query(
        "SELECT entry::jsonb->>'event', count(*) FROM chancery.audit_log WHERE seq > 0 GROUP BY 1 ORDER BY 1")
      for event in [
        "batch.signed|3", "job.cancelled|1", "job.done|1", "job.paused|1", "job.resumed|1", "job.submitted|2",
        "key.added|2", "key.disabled|1", "key.enabled|1",
      ] { #expect(events.contains(event), "\(event) of \(events)") }
      #expect(events.contains { $0.hasPrefix("lease.granted|") })
      let roles = try await cluster.query(
        """
        SELECT DISTINCT entry::jsonb->>'event', entry::jsonb->>'role' FROM chancery.audit_log
        WHERE entry::jsonb->>'event' IN ('batch.signed', 'lease.granted') ORDER BY 1
        """)
      #expect(roles == ["batch.signed|chancery_coordinator", "lease.granted|chancery_keykeeper"])
      let outcome = try await verify(cluster)
      let report = try outcome.json()
      #expect(outcome.status == 0 && report["faulty"].number == 0 && report["jobs"].number == 1, "\(outcome.output)")
      #expect(report["entries"].number == Int(try await cluster.query("SELECT count(*) FROM chancery.audit_log")[0]))
      // Logger tells the head where logs are kept.
      let noted = cluster.log(of: "logger").split(separator: "\n").filter { $0.contains("audit.sealed") }
      #expect(!noted.isEmpty)
    }
  }

  @Test func everyoneCanCheckIt() async throws {
    try await withLog { cluster in
      let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/audit-log.md")
      let text = try String(contentsOf: page.standardizedFileURL, encoding: .utf8)
      let script = try #require(text.components(separatedBy: "```sh\n").last?.components(separatedBy: "```").first)
      func check() async throws -> Program.Outcome {
        try await Program.run(
          "bash", ["-o", "pipefail", "-c", script.replacing("psql -X", with: "psql '\(try cluster.databaseURL())' -X")])
      }
      let intact = try await check()
      let head = try #require(try await verify(cluster).json()["head"].text)
      #expect(intact.status == 0 && intact.output == "intact up to \(head)\n", "\(intact.errors)")
      _ = try await cluster.query("UPDATE chancery.audit_log SET entry = replace(entry, '100', '101') WHERE seq = 5")
      _ = try await cluster.query("UPDATE chancery.audit_log SET entry = entry || ' ' WHERE seq = 6")
      let changed = try await check()
      #expect(changed.status != 0 && changed.errors.contains("is not what was sealed"), "\(changed.output)")
    }
  }

  @Test func whateverIsChangedIsFoundAndLocated() async throws {
    try await withLog { cluster in
      let head = try #require(try await verify(cluster).json()["head"].text)
      let last = try #require(Int(head.prefix { $0 != ":" }))
      // What happens after the head was noted changes nothing about what was before.
      _ = try await cluster.json("keys", "generate")
      try await eventually("all entries are sealed") { try await cluster.query(Self.sealed) == ["0"] }
      #expect(try await verify(cluster, ["--head", head]).status == 0)
      #expect(try await verify(cluster, ["--from", "\(last)", "--head", head]).json()["entries"].number == 2)

      _ = try await cluster.query("CREATE TABLE kept AS SELECT * FROM chancery.audit_log")
      func expectFaults(
        _ sql: String, _ faults: [String], head: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
      ) async throws {
        _ = try await cluster.query(sql)
        let outcome = try await verify(cluster, head.map { ["--head", $0] } ?? [])
        let report = try outcome.json()
        let found = report["faults"].list.map { "\($0["seq"].number ?? -1) \($0["reason"].text ?? "")" }
        #expect(outcome.status == 3 && outcome.errors.contains("audit_log_broken"), sourceLocation: sourceLocation)
        #expect(found.count == faults.count, "\(found)", sourceLocation: sourceLocation)
        for (one, wanted) in zip(found, faults) { #expect(one.contains(wanted), sourceLocation: sourceLocation) }
        _ = try await cluster.query(
          "TRUNCATE chancery.audit_log; INSERT INTO chancery.audit_log SELECT * FROM kept")
      }
      let log = "chancery.audit_log"
      try await expectFaults(
        "UPDATE \(log) SET entry = replace(entry, 'key', 'kee') WHERE seq = 1", ["1 it is not what was sealed"])
      // Its own hash no longer fits, and that after it neither.
      try await expectFaults(
        "UPDATE \(log) SET hash = sha256('x') WHERE seq = 2", ["2 it is not", "3 it is not what was sealed"])
      try await expectFaults("DELETE FROM \(log) WHERE seq = 3", ["4 entry 3 is missing"])
      try await expectFaults("DELETE FROM \(log) WHERE seq IN (2, 3)", ["4 entries 2 to 3 are missing"])
      try await expectFaults(
        "UPDATE \(log) SET entry = (SELECT entry FROM kept WHERE kept.seq = 3 - audit_log.seq)"
          + " WHERE seq IN (1, 2)", ["1 it is not", "2 it is not"])
      try await expectFaults("DELETE FROM \(log) WHERE seq = 0", ["1 entry 0 is missing"])
      try await expectFaults("TRUNCATE \(log)", ["the log is empty"])
      try await expectFaults("DELETE FROM \(log) WHERE seq >= \(last)", ["the log ends with entry"], head: head)
      // Written anew from an entry on, with hashes that fit.
      try await expectFaults(
        """
        UPDATE \(log) SET entry = entry || ' ' WHERE seq = \(last);
        UPDATE \(log) l SET hash = chancery.audit_hash((SELECT hash FROM \(log) WHERE seq = l.seq - 1), seq, entry)
          WHERE seq = \(last);
        UPDATE \(log) l SET hash = chancery.audit_hash((SELECT hash FROM \(log) WHERE seq = l.seq - 1), seq, entry)
          WHERE seq = \(last + 1)
        """, ["\(last) its hash is"], head: head)
      // The log and the batches disagree.
      try await expectFaults(
        "UPDATE chancery.batches SET inserted = inserted - 1 WHERE seq = 0",
        ["300 signatures in the log, and 3 with 299 in the database"])
    }
  }

  @Test func servicesCannotWriteIt() async throws {
    let cluster = try await DevCluster.shared.value
    for role in ["chancery_coordinator", "chancery_keykeeper", "chancery_logger"] {
      for statement in [
        "INSERT INTO chancery.audit_pending (entry) VALUES ('{}')", "DELETE FROM chancery.audit_pending",
        "INSERT INTO chancery.audit_log VALUES (999999, '{}', sha256(''))",
        "UPDATE chancery.audit_log SET entry = '{}'",
        "DELETE FROM chancery.audit_log", "TRUNCATE chancery.audit_log",
        "SELECT chancery.note_audit('job.done', '{}')",
      ] {
        let outcome = try await Program.run(
          "psql", [try cluster.databaseURL(), "-XAtc", "SET ROLE \(role)", "-c", statement])
        #expect(outcome.status != 0 && outcome.errors.contains("permission denied"), "\(role): \(statement)")
      }
    }
    for argument in ["17", "x:00", "17:00", "-1:\(String(repeating: "0", count: 64))"] {
      let outcome = try await cluster.run("audit", "verify-log", "--head=\(argument)")
      #expect(outcome.status == 64 && outcome.errors.contains("head"), "\(argument): \(outcome.errors)")
    }
  }
}
