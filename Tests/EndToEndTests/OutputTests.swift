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
    let url = try cluster.databaseURL()
    #expect(try await cluster.json("db", "status", "--database-url", url).list.count >= 1)
    #expect(try await cluster.json("audit", "--database-url", url).list.count >= 8)
    for (action, state) in [("disable", "disabled"), ("enable", "active"), ("retire", "retired")] {
      #expect(try await cluster.json("keys", action, "\(key)", "--yes")["state"].text == state)
    }
  }

  /// A table has a line of headings, and its columns are aligned.
  @Test func tablesAreForPeople() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate", "--count", "2")
    let table = try await cluster.run("keys", "list")
    let lines = table.output.split(separator: "\n")
    #expect(table.status == 0 && lines.count >= 3)
    #expect(lines[0].hasPrefix("KEY") || lines[0].contains(" KEY"))
  }

  @Test func helpNamesEveryCommandAndEachHasAnExample() async throws {
    let commands = try await subcommands([])
    #expect(
      Set(commands).isSuperset(of: ["demo", "dev", "serve", "db", "keys", "records", "sign", "jobs", "verify", "audit"])
    )
    for command in commands {
      let nested = try await subcommands([command])
      for path in nested.isEmpty ? [[command]] : nested.map({ [command, $0] }) where path != ["version"] {
        let help = try await Program.run(Program.chancery, path + ["--help"])
        #expect(help.status == 0)
        let text = help.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(text.contains("Example: chancery \(path.joined(separator: " "))"), "\(path)")
      }
    }
  }

  /// The subcommands that the help of a command lists.
  private func subcommands(_ path: [String]) async throws -> [String] {
    let help = try await Program.run(Program.chancery, path + ["--help"]).output
    var isListing = false
    return help.split(separator: "\n", omittingEmptySubsequences: false).compactMap { line in
      if line.hasSuffix("SUBCOMMANDS:") { isListing = true }
      if line.isEmpty { isListing = false }
      guard isListing, line.hasPrefix("  "), !line.hasPrefix("   ") else { return nil }
      return line.split(separator: " ").first.map(String.init)
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
