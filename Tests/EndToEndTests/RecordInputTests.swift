import Foundation
import Testing

// Proves that records come in as people have them: CSV with all that RFC 4180 allows, a directory of files, lines of JSON; that what
// is wrong is said with its line and column, before anything of it is stored; and that repeating a command adds nothing.
@Suite("Records come in from files")
struct RecordInputTests {
  @Test func csvComesInWithQuotesAndLineEndsAndCanBeRepeated() async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    let tag = UUID().uuidString
    // A byte order mark, CR LF, an empty line, quotes, commas and line ends in fields, an empty field, and no line end at the end.
    let csv =
      "\u{FEFF}number,\"body, the\",note\r\n\(tag)-1,\"a \"\"b\"\",\r\nc\",x\r\n\r\n\(tag)-2,,\"\"\n\"\(tag)-3\",plain,last"
    let file = try folder.write(csv, to: "in.csv")
    let arguments = ["records", "put", file, "--id-column", "number", "--payload-column", "body, the", "-o", "json"]
    let dry = try await cluster.run(arguments + ["--dry-run"]).json()
    #expect(dry["records"].number == 3 && dry["without_external_id"].number == 0 && dry["payload_bytes"].number == 14)
    for (inserted, existing) in [(3, 0), (0, 3)] {
      let put = try await cluster.run(arguments).json()
      #expect(put["inserted"].number == inserted && put["existing"].number == existing)
    }
    for (name, payload) in [("1", "a \"b\",\r\nc"), ("2", ""), ("3", "plain")] {
      let record = try await cluster.json("records", "get", "\(tag)-\(name)", "--external")
      #expect(record["payload_base64"].text == Data(payload.utf8).base64EncodedString())
    }
    // The same id with other bytes is a conflict that names it.
    let other = try folder.write("external_id,p\n\(tag)-3,changed\n", to: "other.csv")
    let conflict = try await cluster.run("records", "put", other, "--payload-column", "p", "-o", "json")
    #expect(conflict.status == 1 && conflict.errors.contains("\(tag)-3"))
  }

  @Test func aWholeRowIsSignedAsItStands() async throws {
    let cluster = try await DevCluster.shared.value
    let tag = UUID().uuidString
    let rows = ["\(tag),\"x, y\",1 ", "\(tag)+,z,"]
    let put = try await cluster.run(
      ["records", "put", "--format", "csv", "-o", "json"],
      input: "external_id,name,amount\r\n" + rows.map { $0 + "\r\n" }.joined())
    #expect(try put.json()["inserted"].number == 2, "\(put.errors)")
    for (name, row) in zip([tag, tag + "+"], rows) {
      let record = try await cluster.json("records", "get", name, "--external")
      #expect(record["payload_base64"].text == Data(row.utf8).base64EncodedString())
    }
  }

  @Test(arguments: [
    ("a,b\n1,\"x\n2,y", "malformed_csv", "line 2"),
    ("a,b\n1,x\"y\n", "malformed_csv", "line 2, column 4"),
    ("a,b\n1,\"x\"y\n", "malformed_csv", "line 2, column 6"),
    ("a,b\n1,x\r2,y\n", "malformed_csv", "line 2, column 4"),
    ("a,b\n\"1\n\",x\n1,2,3\n", "malformed_csv", "line 4 has 3 fields"),
    ("", "malformed_csv", "empty"),
    ("b,c\n1,2\n", "missing_column", "'a'"),
    ("a,b,a\n1,2,3\n", "missing_column", "2 columns"),
    ("a,b\n\(String(repeating: "x", count: 257)),y\n", "external_id_too_long", "line 2"),
  ])
  func whatIsWrongWithCSVIsSaidWithItsPlace(_ csv: String, _ code: String, _ words: String) async throws {
    let outcome = try await Program.run(
      Program.chancery,
      ["records", "put", "--format", "csv", "--id-column", "a", "--payload-column", "b", "--dry-run", "-o", "json"],
      input: csv)
    #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome.output)")
    #expect(outcome.errors.contains(code) && outcome.errors.contains(words), "\(outcome.errors)")
  }

  @Test func base64IsDecodedAndCheckedInAColumn() async throws {
    let arguments = [
      "records", "put", "--format", "csv", "--payload-column", "b", "--base64", "--dry-run", "-o", "json",
    ]
    let good = try await Program.run(Program.chancery, arguments, input: "b\nAAEC\n")
    #expect(try good.json()["payload_bytes"].number == 3 && good.errors.contains("no external ids"))
    let bad = try await Program.run(Program.chancery, arguments, input: "b\nAAEC\n?\n")
    #expect(bad.status == 1 && bad.errors.contains("line 3"))
    for wrong in [["--format", "jsonl", "--base64"], ["--format", "csv", "--base64"], ["--format", "files"]] {
      let outcome = try await Program.run(Program.chancery, ["records", "put", "--dry-run"] + wrong)
      #expect(outcome.status == 64, "\(wrong) \(outcome.errors)")
    }
  }

  @Test func aDirectoryComesInByThePathsOfItsFiles() async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    let tag = UUID().uuidString
    let root = "\(folder.path)/in"
    let manager = FileManager.default
    try manager.createDirectory(atPath: "\(root)/\(tag)/b", withIntermediateDirectories: true)
    try manager.createDirectory(atPath: "\(root)/empty", withIntermediateDirectories: true)
    let files = ["\(tag)/a.txt": "one", "\(tag)/b/deep é": "", "\(tag)/z": "two"]
    for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(root)/\(name)")) }
    try manager.createSymbolicLink(atPath: "\(root)/\(tag)/link", withDestinationPath: "/etc/passwd")
    _ = try await Program.run("mkfifo", ["\(root)/pipe"])
    for (inserted, existing) in [(3, 0), (0, 3)] {
      let put = try await cluster.run("records", "put", root, "-o", "json")
      #expect(try put.json()["inserted"].number == inserted, "\(put.errors)")
      #expect(try put.json()["existing"].number == existing)
      #expect(put.errors.contains("link is no regular file") && put.errors.contains("pipe is no regular file"))
    }
    for (name, text) in files {
      let record = try await cluster.json("records", "get", name, "--external")
      #expect(record["payload_base64"].text == Data(text.utf8).base64EncodedString())
    }
    try Data(count: 1024 * 1024 + 1).write(to: URL(filePath: "\(root)/\(tag)/large"))
    let large = try await cluster.run("records", "put", root, "--dry-run", "-o", "json")
    #expect(large.status == 1 && large.errors.contains("payload_too_large") && large.errors.contains("large"))
    let nowhere = try await cluster.run("records", "put", "\(root)/nowhere", "--format", "files", "-o", "json")
    #expect(nowhere.status == 1 && nowhere.errors.contains("unreadable_file"))
  }
}
