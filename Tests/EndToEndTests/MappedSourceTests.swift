import Foundation
import Testing

// Proves that a table that was there before is signed in place: the signatures are over its own bytes, a payload that nobody can
// sign fails alone with its code, and the others of its batch are signed; what cannot be mapped is refused with a remedy.
@Suite("Existing tables are signed in place")
struct MappedSourceTests {
  @Test func aTableIsSignedInPlace() async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    _ = try await cluster.json("keys", "generate", "--count", "2")
    let url = try cluster.databaseURL()
    _ = try await cluster.query(
      """
      CREATE SCHEMA billing;
      CREATE TABLE billing."Invoices" ("No" bigint PRIMARY KEY, body text NOT NULL);
      INSERT INTO billing."Invoices" SELECT n * 10, 'Rechnung über ' || n FROM generate_series(1, 50) n;
      INSERT INTO billing."Invoices" VALUES (5, repeat('x', 1048577)), (15, repeat('é', 600000));
      """)
    let add = [
      "sources", "add", "invoices", "--table", "billing.\"Invoices\"", "--id-column", "\"No\"", "--payload-column",
      "body",
      "--database-url", url, "-o", "json",
    ]
    // The coordinator may not read it yet: the error has the statement that mends it.
    let refused = try await cluster.run(add)
    #expect(refused.status == 1 && refused.errors.contains("GRANT SELECT"), "\(refused.errors)")
    _ = try await cluster.query(
      "GRANT USAGE ON SCHEMA billing TO chancery_coordinator; GRANT SELECT ON billing.\"Invoices\" TO chancery_coordinator"
    )
    for _ in 0..<2 {
      let added = try await cluster.run(add)
      #expect(try added.json()["payload_type"].text == "text", "\(added.errors)")
    }
    let sign = try await cluster.run("sign", "--source", "invoices", "--batch-size", "10", "-o", "json")
    // Some records failed: exit code 4, and the job is printed.
    #expect(sign.status == 4, "\(sign.errors)")
    let job = try sign.json()
    #expect(job["signed"].number == 50 && job["failed"].number == 2 && job["state"].text == "done")
    let id = try #require(job["job_id"].text)
    let codes = try await cluster.query(
      "SELECT record_id, code FROM chancery.record_failures WHERE job_id = '\(id)' ORDER BY record_id")
    #expect(codes == ["5|payload_too_large", "15|payload_too_large"])

    let export = try await cluster.run("signatures", "export", "--job", id).output
    #expect(export.contains(Data("Rechnung über 7".utf8).base64EncodedString()))
    let keys = try folder.write(try await cluster.run("keys", "list", "-o", "json").output, to: "keys.json")
    let verified = try await cluster.run(["verify", "--keys", keys, "-o", "json"], input: export)
    #expect(try verified.json()["verified"].number == 50)
    // The manifest names those that failed.
    let manifest = try await cluster.run("jobs", "manifest", id).output
    #expect(
      manifest.split(separator: "\n").count { $0.hasPrefix(#"{"failure":"#) && $0.contains("payload_too_large") } == 2)
    try await cluster.expectSoundness()

    let other = try await cluster.run(
      "sources", "add", "invoices", "--table", "chancery.records", "--database-url", url, "-o", "json")
    #expect(other.status == 1 && other.errors.contains("not a table of records"))
  }
}
