import Foundation
import Glibc
import LocalServers
import Testing

// Proves that `chancery doctor` finds a sound cluster sound, and finds each thing that is broken on purpose, with what was seen
// and how to mend it, in bounded time.
@Suite("The doctor finds what is wrong")
struct DoctorTests {
  /// What the doctor says of each thing.
  private struct Diagnosis {
    var outcome: Program.Outcome
    var findings: [String: JSON] = [:]

    func expect(
      _ check: String, _ result: String, _ says: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let finding = findings[check]
      let text = "\(finding?["seen"].text ?? "") \(finding?["remedy"].text ?? "")"
      #expect(finding?["result"].text == result, "\(check): \(text)", sourceLocation: sourceLocation)
      for part in says { #expect(text.contains(part), "\(check)", sourceLocation: sourceLocation) }
      guard result == "failed" else { return }
      #expect(
        outcome.status == 1 && outcome.errors.contains(#""code":"doctor_failed""#), sourceLocation: sourceLocation)
      #expect(outcome.errors.contains(check), sourceLocation: sourceLocation)
    }
  }

  /// Nothing of it listens, and no context is in use, unless the environment says so.
  private func diagnose(
    _ arguments: [String] = [], environment: [String: String] = [:], launcher: [String] = []
  ) async throws -> Diagnosis {
    var variables = ["CHANCERY_CONFIG": "/nowhere/config.json", "CHANCERY_CONTEXT": ""]
    for name in ["COORDINATOR", "KEYKEEPER", "LOGGER"] { variables["CHANCERY_\(name)"] = "127.0.0.1:1" }
    for name in ["TLS_CERT", "TLS_KEY", "TLS_CA", "DATABASE_URL", "REDIS_URL", "KEK_FILE"] {
      variables["CHANCERY_\(name)"] = ""
    }
    let command = launcher + [Program.chancery, "doctor"] + arguments + ["-o", "json"]
    let outcome = try await Program.run(
      command[0], Array(command.dropFirst()), environment: variables.merging(environment) { $1 })
    var diagnosis = Diagnosis(outcome: outcome)
    for finding in try outcome.json().list { diagnosis.findings[finding["check"].text ?? ""] = finding }
    return diagnosis
  }

  @Test func aSoundClusterIsFoundSound() async throws {
    let cluster = try await DevCluster.shared.value
    let stores = [
      "--database-url", try cluster.databaseURL(), "--redis-url", "unix://\(try cluster.redisSocket())", "--kek-file",
      cluster.directory.appending(path: "kek").path,
    ]
    let sound = try await diagnose(stores, environment: try cluster.addresses())
    #expect(sound.outcome.status == 0 && sound.outcome.errors == "", "\(sound.outcome.errors)")
    #expect(sound.findings.count == 18)
    for (check, finding) in sound.findings where check != "contexts" {
      #expect(finding["result"].text == "ok" && finding["remedy"].text == nil, "\(finding.value ?? "")")
    }
    // Its certificates are 90 days old at most, its clock is that of this machine.
    sound.expect("tls-dates", "ok", "holds for")
    let behind = try await diagnose(
      stores, environment: try cluster.addresses().merging(["FAKETIME_DONT_FAKE_MONOTONIC": "1"]) { $1 },
      launcher: ["faketime", "-m", "-f", "-100.5s", "env"])
    behind.expect("database-clock", "warning", "100.", "ahead of", "NTP")
    behind.expect("logger-clock", "warning", "100.", "ahead of", "NTP")
    #expect(behind.outcome.status == 0)
  }

  @Test func whatIsNotGivenIsSkippedAndNamesItsOption() async throws {
    let diagnosis = try await diagnose()
    diagnosis.expect("contexts", "skipped", "context set")
    for check in ["tls-files", "tls-key", "tls-chain", "tls-dates"] {
      diagnosis.expect(check, "skipped", "--tls-cert")
    }
    diagnosis.expect("key-encryption-key", "skipped", "--kek-file")
    diagnosis.expect("database", "skipped", "--database-url")
    diagnosis.expect("database-schema", "skipped", "--database-url")
    diagnosis.expect("redis", "skipped", "--redis-url")
    diagnosis.expect("redis-eviction", "skipped", "--redis-url")
    for service in ["coordinator", "keykeeper", "logger"] {
      diagnosis.expect(service, "failed", "127.0.0.1:1", "chancery dev")
    }
    diagnosis.expect("logger-clock", "skipped", "logger comes first")
    #expect(diagnosis.findings.count == 18)
  }

  // MARK: - Files

  @Test func certificatesThatCannotServe() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    for (name, time, days) in [
      ("good", nil, 300), ("soon", nil, 5), ("old", "2020-01-01", 30), ("new", "2040-01-01", 30),
    ]
      as [(String, String?, Int)]
    {
      try await certify(name, at: time, days: days, in: folder)
    }
    func diagnose(_ certificate: String, _ key: String, _ authority: String) async throws -> Diagnosis {
      try await self.diagnose([
        "--tls-cert", "\(folder.path)/\(certificate)", "--tls-key", "\(folder.path)/\(key)", "--tls-ca",
        "\(folder.path)/\(authority)",
      ])
    }
    let good = try await diagnose("good.crt", "good.key", "good.crt")
    for check in ["tls-files", "tls-key", "tls-chain", "tls-dates"] { good.expect(check, "ok") }
    try await diagnose("good.crt", "soon.key", "good.crt").expect("tls-key", "failed", "soon.key", "good.crt")
    try await diagnose("good.crt", "good.key", "soon.crt").expect("tls-chain", "failed", "does not vouch", "authority")
    try await diagnose("soon.crt", "soon.key", "soon.crt").expect("tls-dates", "warning", "5.0 days", "renewed")
    try await diagnose("old.crt", "old.key", "old.crt").expect("tls-dates", "failed", "2020-01-31", "renewed")
    try await diagnose("new.crt", "new.key", "new.crt").expect("tls-dates", "failed", "2040-01-01", "clock")
    let missing = try await diagnose("none.crt", "good.key", "good.crt")
    missing.expect("tls-files", "failed", "none.crt", "No such file")
    missing.expect("tls-key", "skipped", "tls-files comes first")
    try await diagnose("good.key", "good.key", "good.crt").expect("tls-files", "failed", "no certificate")
    try await diagnose("good.crt", "good.crt", "good.crt").expect("tls-files", "failed", "no private key")
    _ = try await Program.run(
      "openssl",
      ["pkey", "-in", "\(folder.path)/good.key", "-aes256", "-passout", "pass:p", "-out", "\(folder.path)/locked.key"])
    try await diagnose("good.crt", "locked.key", "good.crt").expect("tls-files", "failed", "locked.key", "passphrase")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(folder.path)/good.key")
    try await diagnose("good.crt", "good.key", "good.crt").expect("tls-files", "warning", "chmod 600")
  }

  /// Makes a key and a certificate that is its own authority, at another time if one is given.
  private func certify(_ name: String, at time: String?, days: Int, in folder: Folder) async throws {
    let command =
      (time.map { ["faketime", $0] } ?? []) + [
        "openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=\(name)", "-days", "\(days)",
        "-keyout",
        "\(folder.path)/\(name).key", "-out", "\(folder.path)/\(name).crt",
      ]
    let outcome = try await Program.run(command[0], Array(command.dropFirst()))
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  @Test func aKeyEncryptionKeyThatCannotBeUsed() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let file = try folder.write(
      "chancery-kek-v1:" + Data((1...32).map { UInt8($0) }).base64EncodedString(), to: "kek")
    func diagnose(mode: Int) async throws -> Diagnosis {
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
      return try await self.diagnose(["--kek-file", file])
    }
    try await diagnose(mode: 0o600).expect("key-encryption-key", "ok", file)
    try await diagnose(mode: 0o644).expect("key-encryption-key", "failed", "chmod 600")
    _ = try folder.write("secret-that-is-none", to: "kek")
    let damaged = try await diagnose(mode: 0o600)
    damaged.expect("key-encryption-key", "failed", file, "backup")
    #expect(!damaged.outcome.output.contains("secret-that-is-none"))
    try await self.diagnose(["--kek-file", "/nowhere/kek"]).expect("key-encryption-key", "failed", "/nowhere/kek")
  }

  @Test func aFileOfContextsThatOthersCanRead() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    func diagnose(_ contexts: String, mode: Int) async throws -> Diagnosis {
      let file = try folder.write(contexts, to: "config.json")
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
      return try await self.diagnose(environment: ["CHANCERY_CONFIG": file])
    }
    let plain = #"{"contexts": {"a": {"timeout": "5"}}}"#
    try await diagnose(plain, mode: 0o600).expect("contexts", "ok")
    try await diagnose(plain, mode: 0o644).expect("contexts", "warning", "chmod 600")
    let secret = #"{"contexts": {"a": {"database_url": "postgresql://u:hunter2@db/d"}}}"#
    let exposed = try await diagnose(secret, mode: 0o644)
    exposed.expect("contexts", "failed", "password", "chmod 600")
    #expect(!exposed.outcome.output.contains("hunter2"))
    let damaged = try await diagnose("{", mode: 0o600)
    damaged.expect("contexts", "failed", "config.json", "mend it")
    #expect(damaged.findings.count == 1)
  }

  @Test func fewOpenFiles() async throws {
    try await diagnose(launcher: ["prlimit", "--nofile=512:512"]).expect("open-files", "warning", "512", "ulimit")
  }

  // MARK: - Servers

  @Test func anotherServerThanTheOneThatIsMeant() async throws {
    let cluster = try await DevCluster.shared.value
    var addresses = try cluster.addresses()
    addresses["CHANCERY_COORDINATOR"] = addresses["CHANCERY_LOGGER"]
    let diagnosis = try await diagnose(environment: addresses)
    diagnosis.expect("coordinator", "failed", "another server", "chancery.v1.Metrics", "--coordinator")
    diagnosis.expect("keykeeper", "ok")
    diagnosis.expect("logger", "ok")
  }

  @Test(.timeLimit(.minutes(1))) func serversThatSayNothing() async throws {
    let port = try Deaf()
    let address = "127.0.0.1:\(port.number)"
    var addresses = ["CHANCERY_DATABASE_URL": "postgresql://\(address)/x", "CHANCERY_REDIS_URL": "redis://\(address)"]
    for name in ["COORDINATOR", "KEYKEEPER", "LOGGER"] { addresses["CHANCERY_\(name)"] = address }
    let started = ContinuousClock.now
    let diagnosis = try await diagnose(["--timeout", "1"], environment: addresses)
    // All at a time, each within a second.
    #expect(started.duration(to: .now) < .seconds(20))
    for check in ["coordinator", "keykeeper", "logger", "database", "redis"] { diagnosis.expect(check, "failed") }
    diagnosis.expect("database-schema", "skipped", "database comes first")
  }

  @Test func databasesThatCannotBeTheTruth() async throws {
    try await PrivatePostgres.with { postgres in
      let url = postgres.connectionString
      func diagnose(_ url: String, _ options: String = "") async throws -> Diagnosis {
        try await self.diagnose(["--database-url", url], environment: ["PGOPTIONS": options])
      }
      let empty = try await diagnose(url)
      empty.expect("database", "ok")
      empty.expect("database-version", "ok", "PostgreSQL")
      empty.expect("database-schema", "failed", "version 0", "chancery db migrate")
      let migrated = try await Program.run(Program.chancery, ["db", "migrate", "--database-url", url])
      #expect(migrated.status == 0, "\(migrated.errors)")
      try await diagnose(url).expect("database-schema", "ok")
      try await diagnose(url, "-c synchronous_commit=off").expect("database-durability", "failed", "off", "ALTER ROLE")
      try await diagnose(url, "-c synchronous_commit=local").expect("database-durability", "warning", "local")
      for (change, seen) in [("version = 99", "version 99"), ("checksum = 'x'", "another text")] {
        let update = "UPDATE chancery.schema_migrations SET \(change) WHERE version = 1"
        _ = try await Program.run("psql", [url, "-XAtqc", update])
        try await diagnose(url).expect("database-schema", "failed", seen, "program")
        let mend = "UPDATE chancery.schema_migrations SET version = 1 WHERE version = 99"
        _ = try await Program.run("psql", [url, "-XAtqc", mend])
      }
      var options = PrivatePostgres.Options()
      options.primary = url
      try await PrivatePostgres.with(options) { standby in
        try await diagnose(standby.connectionString).expect("database", "failed", "standby", "primary")
      }
      try await diagnose("host=/nowhere password=hunter2").expect("database", "failed", "/nowhere", "--database-url")
      let refused = try await diagnose("host=/nowhere password=hunter2")
      #expect(!(refused.outcome.output + refused.outcome.errors).contains("hunter2"))
    }
  }

  @Test func aRedisThatForgets() async throws {
    var options = PrivateRedis.Options()
    options.settings = ["maxmemory-policy": "allkeys-lru"]
    try await PrivateRedis.with(options) { redis in
      let url = ["--redis-url", redis.connectionString]
      let unlimited = try await diagnose(url)
      unlimited.expect("redis", "ok", "Redis")
      unlimited.expect("redis-eviction", "warning", "allkeys-lru", "noeviction")
      _ = try await Program.run("redis-cli", ["-s", redis.socketPath, "CONFIG", "SET", "maxmemory", "100mb"])
      try await diagnose(url).expect("redis-eviction", "failed", "allkeys-lru", "noeviction")
      _ = try await Program.run("redis-cli", ["-s", redis.socketPath, "REPLICAOF", "127.0.0.1", "1"])
      try await diagnose(url).expect("redis", "failed", "a replica", "primary")
    }
    try await diagnose(["--redis-url", "unix:///nowhere"]).expect("redis", "failed", "/nowhere", "--redis-url")
  }
}

/// A port that takes connections and says nothing.
private final class Deaf {
  let number: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, address, &length) == 0
      }
    }
    number = UInt16(bigEndian: address.sin_port)
    try #require(result, "\(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }
}
