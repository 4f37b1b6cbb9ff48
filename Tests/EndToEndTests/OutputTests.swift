import Foundation
import Testing

// Proves that the command line can be scripted and learned: every command that reads prints one JSON document on standard
// output and nothing else there; `chancery help` names every command, each of which has an example; and every code that a
// command may print is documented.
@Suite("The command line can be scripted and learned")
struct OutputTests {
  @Test func everyReadingCommandPrintsJSON() async throws {
    let cluster = try await DevCluster.shared.value
    let keys = try await cluster.json("keys", "generate", "--count", "1", "--label", "of \"tests\"")
    let key = try #require(keys[0]["key_id"].number)
    let put = try await cluster.json("records", "put", "-", input: #"{"external_id": "é\n", "payload": "a"}"#)
    let record = try #require(put["last_record_id"].number)
    let job = try await cluster.json("jobs", "submit", "--priority", "-5")
    let id = try #require(job["job_id"].text)
    #expect(job["priority"].number == -5)
    #expect(try await cluster.json("jobs", "watch", id)["state"].text == "done")
    #expect(try await cluster.json("jobs", "get", id)["job_id"].text == id)
    #expect(try await cluster.json("jobs", "list").list.contains { $0["job_id"].text == id })
    #expect(try await cluster.json("keys", "get", "\(key)")["label"].text == "of \"tests\"")
    #expect(try await cluster.json("keys", "list").list.contains { $0["key_id"].number == key })
    #expect(try await cluster.json("records", "get", "\(record)")["external_id"].text == "é\n")
    let status = try await cluster.json("records", "get", "\(record)", "--status", "--job", id)
    #expect(status["state"].text == "signed")
    #expect(try await cluster.json("health").list.allSatisfy { $0["status"].text == "serving" })
    // A job that is done is taken up by none of these; one that waits for a key of its kind is.
    #expect(try await cluster.json("jobs", "retry", id)["state"].text == "done")
    _ = try await cluster.json("keys", "generate", "--algorithm", "rsa-pss-2048", "--count", "1")
    let waiting = try await cluster.json("jobs", "submit", "--algorithm", "rsa-pss-2048", "--priority", "-100")
    let other = try #require(waiting["job_id"].text)
    for (action, state) in [("pause", "paused"), ("resume", "running"), ("pause", "paused"), ("cancel", "cancelled")] {
      let arguments = ["jobs", action, other] + (action == "cancel" ? ["--yes"] : []) + ["-o", "json"]
      let outcome = try await cluster.run(arguments)
      // The few records may be signed before it is paused.
      if outcome.errors.contains("FAILED_PRECONDITION") { break }
      #expect(try outcome.json()["state"].text == state, "\(action): \(outcome.errors)")
    }
    let url = try cluster.databaseURL()
    #expect(try await cluster.json("sources", "list").list.contains { $0["name"].text == "records" })
    _ = try await cluster.query("CREATE VIEW public.outputs AS SELECT 1::bigint AS id, 'text' AS payload")
    _ = try await cluster.query("GRANT SELECT ON public.outputs TO chancery_coordinator")
    let added = try await cluster.json("sources", "add", "outputs", "--table", "public.outputs", "--database-url", url)
    #expect(added["payload_type"].text == "text")
    #expect(try await cluster.json("db", "status", "--database-url", url).list.count >= 1)
    #expect(try await cluster.json("audit", "--database-url", url).list.count >= 8)
    #expect(try await cluster.json("audit", "verify-log", "--database-url", url)["head"].text != nil)
    for (action, state) in [("disable", "disabled"), ("enable", "active"), ("retire", "retired")] {
      #expect(try await cluster.json("keys", action, "\(key)", "--yes")["state"].text == state)
    }
    #expect(try await cluster.json("db", "migrate", "--database-url", url).list.count >= 1)
    #expect(try await cluster.json("version")["version"].text != nil)
    let folder = try Folder()
    defer { folder.remove() }
    let pem = "\(folder.path)/key.pem"
    _ = try await Program.run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", pem])
    #expect(try await cluster.json("keys", "import", pem)["algorithm"].text == "ed25519")

    // None is forgotten: these, and those that other tests run.
    let here: Set = [
      "keys generate", "keys list", "keys get", "keys disable", "keys enable", "keys retire", "keys import",
      "records put",
      "records get", "jobs submit", "jobs watch", "jobs get", "jobs list", "health", "db status", "db migrate", "audit",
      "audit verify-log",
      "version", "sources add", "sources list", "jobs pause", "jobs resume", "jobs retry", "jobs cancel",
    ]
    let elsewhere: Set = [
      "records generate", "sign", "verify", "demo", "bench sign", "bench watch", "bench rpc", "call", "services",
      "describe",
      "simulate", "chaos", "doctor", "top", "logs", "context list", "context show", "config view",
    ]
    let all = try await CommandTree.paths(with: "o").map { $0.joined(separator: " ") }
    #expect(Set(all) == here.union(elsewhere))
  }

  @Test func helpNamesEveryCommandAndEachHasAnExample() async throws {
    let all = try await CommandTree.paths()
    let help = try await Program.run(Program.chancery, ["help"]).output
    for path in all {
      #expect(help.contains("\n  \(path[0]) "), "help does not list \(path[0])")
      let text = try await Program.run(Program.chancery, path + ["--help"]).output
      let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(words.contains("Example: chancery \(path.joined(separator: " "))"), "\(path)")
    }
  }

  @Test func everyCodeIsDocumented() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let documented = try String(contentsOf: root.appending(path: "docs/errors.md"), encoding: .utf8)
    let sources = root.appending(path: "Sources/chancery")
    let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    var codes: Set<String> = []
    for case let file as URL in files where file.pathExtension == "swift" {
      for match in try String(contentsOf: file, encoding: .utf8).matches(of: /code: "([a-z_]+)"/) {
        codes.insert(String(match.output.1))
      }
    }
    #expect(codes.count > 5)
    for code in codes.sorted() { #expect(documented.contains("`\(code)`"), "\(code)") }
  }
}
