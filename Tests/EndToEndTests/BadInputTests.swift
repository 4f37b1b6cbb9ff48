import Foundation
import LocalServers
import Testing

// Proves that bad input gets a clear answer: the documented exit code and code, a message that names the wrong value, and
// what to do about it; as JSON where JSON was asked for. Nothing is lost, nothing crashes: the shared cluster goes on.
@Suite("Bad input gets a clear answer")
struct BadInputTests {
  /// A command line that cannot be carried out.
  struct Mistake: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var input = ""
    var status: Int32
    var code: String
    /// Texts that the message or the hint must have.
    var says: [String]

    init(_ arguments: String..., input: String = "", status: Int32, code: String, says: String...) {
      self.arguments = arguments
      self.input = input
      self.status = status
      self.code = code
      self.says = says
    }

    var testDescription: String { arguments.joined(separator: " ").prefix(60).description }
  }

  static let usage: [Mistake] = [
    Mistake("jobs", "submit", "--batch-size", "0", status: 64, code: "usage", says: "--batch-size 0", "1 and 10000"),
    Mistake("jobs", "submit", "--batch-size", "-1", status: 64, code: "usage", says: "--batch-size -1", "1 and 10000"),
    Mistake("sign", "--batch-size", "10001", status: 64, code: "usage", says: "--batch-size 10001", "1 and 10000"),
    Mistake("sign", "--batch-size", "many", status: 64, code: "usage", says: "many", "--batch-size"),
    Mistake(
      "sign", "--algorithm", "ecdsa-p255", status: 64, code: "usage", says: "ecdsa-p255", "ecdsa-p256", "ed25519"),
    Mistake("sign", "--priority", "-101", status: 64, code: "usage", says: "--priority -101", "-100 and 100"),
    Mistake("jobs", "list", "--limit", "0", status: 64, code: "usage", says: "--limit 0"),
    Mistake("jobs", "list", "--lmit", "1", status: 64, code: "usage", says: "--lmit"),
    Mistake("jbos", status: 64, code: "usage", says: "'chancery jbos'", "did you mean 'chancery jobs'?"),
    Mistake("jobs", "lsit", status: 64, code: "usage", says: "'chancery jobs lsit'", "'chancery jobs list'"),
    Mistake("keys", "gett", "17", status: 64, code: "usage", says: "'chancery keys gett'", "'chancery keys get'"),
    Mistake("serve", "signr", status: 64, code: "usage", says: "'chancery serve signr'", "'chancery serve signer'"),
    Mistake("jobs", "xyz", status: 64, code: "usage", says: "'chancery jobs xyz'", "'chancery jobs --help' lists all"),
    Mistake("jobs", "list", "--limt", "1", status: 64, code: "usage", says: "--limt", "--limit"),
    Mistake("health", "keykeper", status: 64, code: "usage", says: "keykeper", "'keykeeper'"),
    Mistake("dev", "--store", "postgre", status: 64, code: "usage", says: "postgre", "'postgres'"),
    Mistake("keys", "list", "--color", "alwys", status: 64, code: "usage", says: "alwys", "'always'"),
    Mistake("chaos", "--fault", "redis-kiled", status: 64, code: "usage", says: "redis-kiled", "'redis-killed'"),
    Mistake("call", "Jobs/Lst", status: 64, code: "usage", says: "Jobs/Lst", "did you mean 'Jobs/List'?"),
    Mistake("describe", "Jbos", status: 64, code: "usage", says: "Jbos", "did you mean 'Jobs'?"),
    Mistake("logs", "--since", "yesterday", status: 64, code: "usage", says: "yesterday", "--since"),
    Mistake(
      "logs", "--since", "5m", "--until", "10m", status: 64, code: "usage", says: "--since is not before --until"),
    Mistake("logs", "--tail", "-1", status: 64, code: "usage", says: "--tail -1", "100000"),
    Mistake("logs", "-f", "--tail", "1001", status: 64, code: "usage", says: "--tail 1001", "1000"),
    Mistake("keys", "generate", "--count", "0", status: 64, code: "usage", says: "--count 0", "1 and 10000"),
    Mistake("records", "get", "first", status: 64, code: "usage", says: "first", "--external"),
    Mistake("jobs", "list", "--coordinator", "nowhere", status: 64, code: "usage", says: "nowhere", "HOST:PORT"),
    Mistake("jobs", "list", "--timeout", "0", status: 64, code: "usage", says: "--timeout '0'"),
    Mistake("audit", "--database-url", "no url", status: 64, code: "usage", says: "postgresql://"),
    Mistake(
      "jobs", "list", "--coordinator", "127.0.0.1:1", status: 2, code: "UNAVAILABLE", says: "127.0.0.1:1",
      "chancery dev"),
    Mistake("audit", "--database-url", "host=/nowhere", status: 2, code: "unavailable", says: "/nowhere", "check"),
    Mistake("keys", "import", "/nowhere/key.pem", status: 1, code: "unreadable_file", says: "/nowhere/key.pem", "path"),
  ]

  static let refusals: [Mistake] = [
    Mistake("jobs", "get", "17", status: 1, code: "INVALID_ARGUMENT", says: "job_id", "17"),
    Mistake(
      "jobs", "get", "00000000-0000-4000-8000-000000000000", status: 1, code: "NOT_FOUND",
      says: "00000000-0000-4000-8000-000000000000"),
    Mistake("keys", "get", "999999", status: 1, code: "NOT_FOUND", says: "999999"),
    Mistake("records", "get", "999999", status: 1, code: "NOT_FOUND", says: "999999"),
    Mistake("records", "get", "--external", "nobody's", status: 1, code: "NOT_FOUND", says: "nobody's"),
    Mistake("sign", "--source", "ledger", status: 1, code: "NOT_FOUND", says: "ledger"),
    Mistake(
      "records", "put", "-", input: #"{"payload": "a"}"# + "\n" + #"{"payload": }"#, status: 1,
      code: "malformed_record",
      says: "line 2"),
    Mistake(
      "records", "put", "-", input: #"{"text": "a"}"#, status: 1, code: "malformed_record", says: "line 1", "payload"),
    Mistake(
      "records", "put", "-",
      input: #"{"external_id": "big", "payload": ""# + String(repeating: "x", count: 1_048_577) + #""}"#,
      status: 1, code: "payload_too_large", says: "1048577", "1048576", "line 1"),
  ]

  @Test(arguments: usage + refusals) func isAnswered(_ mistake: Mistake) async throws {
    let cluster = try await DevCluster.shared.value
    try await expect(mistake, on: cluster)
  }

  private func expect(_ mistake: Mistake, on cluster: DevCluster) async throws {
    let outcome = try await cluster.run(mistake.arguments + ["-o", "json"], input: mistake.input)
    #expect(outcome.status == mistake.status, "\(outcome.errors)")
    #expect(outcome.output == "")
    // Progress may stand before it; the error is the last line.
    let line = outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
    let error = JSON(value: try? JSONSerialization.jsonObject(with: Data(line.utf8)))
    #expect(error["code"].text == mistake.code, "\(outcome.errors.prefix(500))")
    #expect(error["retryable"].value is Bool)
    let text = "\(error["message"].text ?? "") \(error["hint"].text ?? "")"
    for part in mistake.says { #expect(text.contains(part), "\(text)") }
    // For people: two lines.
    let told = try await cluster.run(mistake.arguments, input: mistake.input)
    #expect(told.status == mistake.status && told.output == "")
    for part in mistake.says { #expect(told.errors.contains(part), "\(told.errors)") }
  }

  @Test func aJobNeedsRecordsAndKeys() async throws {
    try await DevCluster.with { cluster in
      try await expect(Mistake("sign", status: 1, code: "FAILED_PRECONDITION", says: "no records"), on: cluster)
      _ = try await cluster.json("records", "put", "-", input: #"{"payload": "a"}"#)
      try await expect(
        Mistake("sign", status: 1, code: "FAILED_PRECONDITION", says: "ecdsa-p256", "key"), on: cluster)
      _ = try await cluster.json("keys", "generate")
      try await expect(
        Mistake("sign", "--algorithm", "ed25519", status: 1, code: "FAILED_PRECONDITION", says: "ed25519"), on: cluster)
    }
  }

  @Test func externalIDsAreTakenOnce() async throws {
    let cluster = try await DevCluster.shared.value
    let first = #"{"external_id": "taken", "payload": "one"}"#
    _ = try await cluster.json("records", "put", "-", input: first)
    let again = try await cluster.json("records", "put", "-", input: first)
    #expect(again["existing"].number == 1 && again["inserted"].number == 0)
    try await expect(
      Mistake(
        "records", "put", "-", input: #"{"external_id": "taken", "payload": "two"}"#, status: 1, code: "ALREADY_EXISTS",
        says: "taken", "another"), on: cluster)
  }

  @Test(arguments: [
    ("garbage.pem", "-----BEGIN PRIVATE KEY-----\n!nonsense!\n-----END PRIVATE KEY-----\n", "malformed_pem"),
    ("short.pem", nil, "unsupported_key_size"), ("curve.pem", nil, "wrong_curve"),
    ("public.pem", nil, "public_key_given"),
    ("encrypted.pem", nil, "passphrase_required"),
  ])
  func keysThatCannotBeImported(_ name: String, _ text: String?, _ code: String) async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    let path = "\(folder.path)/\(name)"
    switch name {
    case "short.pem":
      try await openSSL("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", path)
    case "curve.pem":
      try await openSSL("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", path)
    case "public.pem":
      try await openSSL("genpkey", "-algorithm", "ED25519", "-out", "\(path).private")
      try await openSSL("pkey", "-in", "\(path).private", "-pubout", "-out", path)
    case "encrypted.pem":
      try await openSSL("genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:p", "-out", path)
    default: _ = try folder.write(text ?? "", to: name)
    }
    let outcome = try await cluster.run("keys", "import", path, "-o", "json")
    #expect(outcome.status == 1 && outcome.output == "")
    let error = JSON(value: try? JSONSerialization.jsonObject(with: Data(outcome.errors.utf8)))
    #expect(error["code"].text == code, "\(outcome.errors)")
    #expect(error["message"].text?.contains(path) == true)
  }

  private func openSSL(_ arguments: String...) async throws {
    let outcome = try await Program.run("openssl", arguments)
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  // MARK: - Services that cannot start

  @Test func anUnmigratedDatabase() async throws {
    try await PrivatePostgres.with { postgres in
      let outcome = try await serve("coordinator", "--database-url", postgres.connectionString)
      #expect(outcome.status == 2)
      #expect(outcome.errors.contains("chancery db migrate"), "\(outcome.errors)")
      let status = try await Program.run(
        Program.chancery, ["db", "status", "--database-url", postgres.connectionString, "-o", "json"])
      #expect(status.status == 0)
      #expect(try status.json()[0]["applied_at"].text == nil)
    }
  }

  @Test func aPortInUse() async throws {
    let cluster = try await DevCluster.shared.value
    let address = try cluster.address(of: "coordinator-1")
    let outcome = try await serve(
      "coordinator", "--database-url", try cluster.databaseURL(), "--listen", address)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains(address) && outcome.errors.contains("in use"), "\(outcome.errors)")
  }

  @Test func aDatabaseURLThatIsNone() async throws {
    let outcome = try await serve("coordinator", "--database-url", "no url", "--log-format", "json")
    #expect(outcome.status == 64)
    #expect(
      outcome.errors.contains("postgresql://") && !outcome.errors.contains("CommandFailure("), "\(outcome.errors)")
  }

  @Test func anAddressThatOthersCouldReach() async throws {
    let outcome = try await serve("coordinator", "--database-url", "host=/nowhere", "--listen", "0.0.0.0:7420")
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("0.0.0.0:7420") && outcome.errors.contains("TLS"), "\(outcome.errors)")
  }

  @Test func aKeyEncryptionKeyThatOthersCanRead() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let kek = try folder.write("chancery-kek-v1:" + Data(repeating: 7, count: 31).base64EncodedString(), to: "kek")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: kek)
    let open = try await serve("keykeeper", "--database-url", "host=/x", "--redis-url", "redis://x", "--kek-file", kek)
    #expect(open.status == 1 && open.errors.contains("chmod 600"), "\(open.errors)")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: kek)
    let short = try await serve("keykeeper", "--database-url", "host=/x", "--redis-url", "redis://x", "--kek-file", kek)
    #expect(short.status == 1 && short.errors.contains("32 bytes"), "\(short.errors)")
  }

  private func serve(_ service: String, _ arguments: String...) async throws -> Program.Outcome {
    try await Program.run(Program.chancery, ["serve", service, "--admin-listen", "none"] + arguments)
  }
}
