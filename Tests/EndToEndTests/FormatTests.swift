import Foundation
import Testing

// Proves that every command that reads prints every format: each is run in each format against one cluster, other programs
// read what it prints, and all formats say the same.
@Suite("Every command prints every format")
struct FormatTests {
  private static let formats = ["table", "wide", "json", "jsonl", "yaml", "csv", "name"]

  @Test(.timeLimit(.minutes(3))) func allFormatsSayTheSame() async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    // What a terminal, JSON, YAML and CSV each might take for something else.
    let label = "a,b \"c\": - #d \u{1B}[31m true\n"
    let keys = try await cluster.json("keys", "generate", "--count", "2", "--label", label)
    let key = try #require(keys[0]["key_id"].number)
    let line = #"{"external_id": "yes, \"no\":\nnull \u2028", "payload": "1e3"}"#
    let put = try await cluster.json("records", "put", "-", input: line)
    let record = try #require(put["last_record_id"].number)
    let job = try #require(try await cluster.json("sign")["job_id"].text)
    let url = try cluster.databaseURL()
    for format in Self.formats {
      _ = try await Program.run(
        "openssl", ["genpkey", "-algorithm", "ed25519", "-out", "\(folder.path)/key.\(format)"])
    }
    let records = "\(folder.path)/records.jsonl"
    try Data(#"{"payload": "x"}"#.utf8).write(to: URL(filePath: records))
    let keyFile = "\(folder.path)/keys.json"
    try Data(try await cluster.run("keys", "list", "-o", "json").output.utf8).write(to: URL(filePath: keyFile))
    let signed = "\(folder.path)/signed.jsonl"
    let export = try await cluster.run("signatures", "export", "--job", job)
    try Data(export.output.utf8).write(to: URL(filePath: signed))
    let manifest = "\(folder.path)/job.manifest"
    try Data(try await cluster.run("jobs", "manifest", job).output.utf8).write(to: URL(filePath: manifest))
    _ = try await cluster.query("CREATE VIEW public.formats AS SELECT 1::bigint AS id, 'text' AS payload")
    _ = try await cluster.query("GRANT SELECT ON public.formats TO chancery_coordinator")
    let contexts = ["CHANCERY_CONFIG": "\(folder.path)/config.json"]
    _ = try await Program.run(
      Program.chancery, ["context", "set", "no", "--timeout", "5"], environment: contexts)

    // What comes later is in none of them.
    try await eventually("there are events") { try await !cluster.json("logs").list.isEmpty }
    let until = Date().ISO8601Format()

    let reading = [
      ["keys", "list"], ["keys", "get", "\(key)"], ["records", "get", "\(record)"],
      ["records", "get", "\(record)", "--status"], ["jobs", "get", job], ["jobs", "list"], ["jobs", "watch", job],
      ["health"], ["services"], ["describe"], ["describe", "Jobs/Submit"], ["db", "status", "--database-url", url],
      ["db", "migrate", "--database-url", url], ["audit", "--database-url", url],
      ["audit", "verify-log", "--database-url", url], ["context", "list"],
      ["context", "show"], ["config", "view", "--show-origin"], ["version"], ["chaos", "--list"],
      ["verify", "--keys", keyFile, signed], ["verify", "--manifest", manifest], ["jobs", "retry", job],
      ["sources", "list"], ["sources", "add", "formats", "--table", "public.formats", "--database-url", url],
      ["records", "put", records, "--dry-run"],
      ["logs", "--until", until],
      ["keys", "disable", "\(key)", "--yes"], ["keys", "enable", "\(key)", "--yes"],
    ]
    let changing = [
      ["keys", "generate", "--count", "1"], ["keys", "retire", "\(key)", "--yes"],
      ["keys", "import", "\(folder.path)/key.FORMAT"],
      ["records", "put", records], ["records", "generate", "--count", "1"], ["jobs", "submit"], ["sign"],
      ["simulate", "--seeds", "1", "--records", "20"], ["doctor", "--database-url", url],
    ]
    let results = folder.path + "/results"
    try FileManager.default.createDirectory(atPath: results, withIntermediateDirectories: true)
    for (index, command) in (reading + changing).enumerated() {
      let name = "\(results)/\(index)-\(command.prefix(2).joined(separator: "-").filter { $0 != "/" })"
      for format in Self.formats {
        let arguments = command.map { $0.replacing("FORMAT", with: format) } + ["-o", format, "--color", "auto"]
        let outcome = try await Program.run(
          Program.chancery, arguments, environment: try cluster.addresses().merging(contexts) { $1 })
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
        try Data(outcome.output.utf8).write(to: URL(filePath: "\(name).\(format)"))
      }
      if index >= reading.count { try Data().write(to: URL(filePath: "\(name).changes")) }
    }
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "check-formats.py").path
    let check = try await Program.run("/usr/bin/python3", [script, results])
    #expect(check.output == "\(reading.count + changing.count) commands\n", "\(check.output)\(check.errors)")

    // None is forgotten: the others each make a cluster of their own, or break one; they print as these do.
    let tried = Set((reading + changing).map { $0.prefix(2).joined(separator: " ") })
    let slow: Set = ["demo", "bench sign", "bench watch", "bench rpc"]
    for path in try await CommandTree.paths(with: "o") where !slow.contains(path.joined(separator: " ")) {
      let name = path.joined(separator: " ")
      // Pausing takes a job that runs: JobControlTests; calls print messages, as JSON: CallTests; so does the dashboard.
      if ["jobs pause", "jobs resume", "jobs cancel", "call", "top"].contains(name) { continue }
      #expect(tried.contains { $0 == name || $0.hasPrefix(name + " ") }, "\(name)")
    }
  }

  @Test func tablesAreForPeople() async throws {
    let cluster = try await DevCluster.shared.value
    let label = "red \u{1B}[31m"
    let key = try #require(try await cluster.json("keys", "generate", "--label", label)[0]["key_id"].number)
    let table = try await cluster.run("keys", "list").output.split(separator: "\n")
    let wide = try await cluster.run("keys", "list", "-o", "wide").output.split(separator: "\n")
    #expect(!table[0].contains("HOLDER") && wide[0].contains("HOLDER"))
    let line = try #require(wide.first { $0.hasPrefix("\(key) ") || $0.contains(" \(key) ") })
    #expect(line.contains(#"red \u{1b}[31m"#) && !line.contains("…") && !line.contains("\u{1B}"))
    let bare = try await cluster.run("keys", "list", "--no-headers").output.split(separator: "\n")
    #expect(bare.count == table.count - 1 && !bare[0].contains("ALGORITHM"))
    let colored = try await cluster.run("keys", "get", "\(key)", "--color", "always")
    #expect(colored.output.contains("\u{1B}[32mactive\u{1B}[0m"))
    let error = try await cluster.run("keys", "get", "0", "--color=always")
    #expect(error.errors.hasPrefix("\u{1B}[1;31merror:\u{1B}[0m"))
    let unknown = try await cluster.run("keys", "list", "-o", "xml")
    #expect(unknown.status == 64 && unknown.errors.contains("jsonl"))
  }
}
