import Foundation
import Testing

// Proves where commands take their settings from: a flag wins over the environment, that over the context, that over the
// default; the file of contexts is the user's alone, shows no password, and says what is wrong with it.
@Suite("Settings come from flags, the environment, contexts and defaults, in this order")
struct ContextTests {
  /// A user with a file of contexts.
  private struct User {
    let folder: Folder
    var file: String { "\(folder.path)/config/config.json" }

    func run(_ arguments: String..., environment: [String: String] = [:]) async throws -> Program.Outcome {
      // What a shell has set for a cluster must not be heard here.
      var variables = ["CHANCERY_CONFIG": file]
      for name in ["COORDINATOR", "KEYKEEPER", "LOGGER", "TLS_CERT", "TLS_KEY", "TLS_CA", "CONTEXT", "TIMEOUT"] {
        variables["CHANCERY_\(name)"] = ""
      }
      return try await Program.run(Program.chancery, arguments, environment: variables.merging(environment) { $1 })
    }

    /// The value and origin of a setting.
    func setting(_ name: String, _ arguments: String..., environment: [String: String] = [:]) async throws -> [String?]
    {
      var all = arguments
      all += ["--show-origin", "-o", "json"]
      let outcome = try await Program.run(
        Program.chancery, ["config", "view"] + all,
        environment: ["CHANCERY_CONFIG": file, "CHANCERY_CONTEXT": "", "CHANCERY_COORDINATOR": ""]
          .merging(environment) { $1 })
      let row = try outcome.json().list.first { $0["setting"].text == name }
      return [row?["value"].text, row?["origin"].text]
    }
  }

  private func withUser(_ body: (User) async throws -> Void) async throws {
    let folder = try Folder()
    defer { folder.remove() }
    try await body(User(folder: folder))
  }

  @Test func theStrongestSourceWins() async throws {
    try await withUser { user in
      #expect(try await user.setting("coordinator") == ["127.0.0.1:7420", "default"])
      #expect(try await user.run("context", "set", "a", "--coordinator", "a:1").status == 0)
      #expect(try await user.run("context", "set", "b", "--coordinator", "b:1").status == 0)
      #expect(try await user.setting("coordinator") == ["a:1", "context a"])
      #expect(try await user.run("context", "use", "b").status == 0)
      #expect(try await user.setting("coordinator") == ["b:1", "context b"])
      #expect(try await user.setting("coordinator", "--context", "a") == ["a:1", "context a"])
      let environment = ["CHANCERY_CONTEXT": "a"]
      #expect(try await user.setting("coordinator", environment: environment) == ["a:1", "context a"])
      let both = ["CHANCERY_CONTEXT": "a", "CHANCERY_COORDINATOR": "c:1"]
      #expect(
        try await user.setting("coordinator", environment: both) == ["c:1", "environment CHANCERY_COORDINATOR"])
      #expect(
        try await user.setting("coordinator", "--coordinator", "d:1", environment: both) == ["d:1", "flag"])
      #expect(try await user.run("context", "delete", "b", "--yes").status == 0)
      #expect(try await user.setting("coordinator") == ["127.0.0.1:7420", "default"])
      let list = try await user.run("context", "list", "-o", "json").json().list
      #expect(list.count == 1 && list[0]["name"].text == "a" && list[0]["settings"]["coordinator"].text == "a:1")
    }
  }

  @Test func aContextNamesACluster() async throws {
    let cluster = try await DevCluster.shared.value
    let addresses = try cluster.addresses()
    func address(_ name: String) throws -> String { try #require(addresses["CHANCERY_\(name)"]) }
    try await withUser { user in
      let set = try await user.run(
        "context", "set", "dev", "--coordinator", try address("COORDINATOR"), "--keykeeper", try address("KEYKEEPER"),
        "--logger", try address("LOGGER"), "--tls-cert", try address("TLS_CERT"), "--tls-key", try address("TLS_KEY"),
        "--tls-ca", try address("TLS_CA"), "--database-url", try cluster.databaseURL())
      #expect(set.status == 0, "\(set.errors)")
      #expect(try await user.run("health").status == 0)
      #expect(try await user.run("db", "status").status == 0)
      // Half of the certificates: a mistake of the user, not of the services.
      #expect(try await user.run("context", "set", "dev", "--tls-key", "").status == 0)
      let half = try await user.run("health")
      #expect(half.status == 64 && half.errors.contains("--tls-key is needed"))
    }
  }

  @Test func passwordsStayInTheFileAndTheFileIsPrivate() async throws {
    try await withUser { user in
      let url = "postgresql://me:s3cret@db.example/chancery"
      #expect(try await user.run("context", "set", "a", "--database-url", url).status == 0)
      let mode = try FileManager.default.attributesOfItem(atPath: user.file)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      for command in [["context", "list"], ["context", "show"], ["config", "view"]] {
        for format in ["table", "json"] {
          let outcome = try await Program.run(
            Program.chancery, command + ["-o", format], environment: ["CHANCERY_CONFIG": user.file])
          #expect(outcome.status == 0 && outcome.output.contains("db.example"), "\(command)")
          #expect(!outcome.output.contains("s3cret") && outcome.errors.isEmpty, "\(command): \(outcome.errors)")
        }
      }
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: user.file)
      let exposed = try await user.run("config", "view")
      #expect(exposed.status == 0 && exposed.errors.contains("chmod 600"))
    }
  }

  @Test(arguments: [
    (["context", "use", "nowhere"], "there is no context 'nowhere'"),
    (["config", "view", "--context", "nowhere"], "there is no context 'nowhere'"),
    (["context", "set", "a b", "--coordinator", "a:1"], "'a b' cannot name a context"),
    (["context", "set", "a"], "nothing is set"),
    (["context", "set", "a", "--coordinator", "a"], "--coordinator: address 'a'"),
    (["context", "set", "a", "--timeout", "0"], "--timeout '0'"),
    (["context", "set", "a", "--tls-ca", "ca.crt"], "'ca.crt' is not an absolute path"),
    (["config", "view", "--timeout", "soon"], "--timeout 'soon'"),
  ]) func mistakesAreNamed(_ arguments: [String], _ message: String) async throws {
    try await withUser { user in
      let outcome = try await Program.run(
        Program.chancery, arguments, environment: ["CHANCERY_CONFIG": user.file, "CHANCERY_CONTEXT": ""])
      #expect(outcome.status == 64 && outcome.errors.contains(message), "\(outcome.errors)")
    }
  }

  @Test(arguments: ["{", #"{"contexts": {"a": {"bogus": "1"}}}"#, #"{"contexts": []}"#])
  func aDamagedFileIsNamed(_ text: String) async throws {
    try await withUser { user in
      try FileManager.default.createDirectory(
        at: URL(filePath: user.file).deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: URL(filePath: user.file))
      let outcome = try await user.run("config", "view", "-o", "json")
      #expect(outcome.status == 1 && outcome.output.isEmpty)
      let errors = try Program.Outcome(status: 0, output: outcome.errors, errors: "").json()
      #expect(errors["code"].text == "malformed_context_file")
      #expect(errors["message"].text?.contains(user.file) == true)
    }
  }
}
