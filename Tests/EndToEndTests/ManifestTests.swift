import Foundation
import Testing

// Proves that a manifest lets anyone check a whole job: it verifies without a server, with openssl too as far as it goes, and one
// changed byte of a payload, a signature, an entry, the root or the coordinator's signature is found, and said where. What needs a
// payload that is not there is never called verified.
@Suite("A manifest proves a whole job", .timeLimit(.minutes(5)))
struct ManifestTests {
  /// A job with its manifest and all that goes with it, in a folder.
  private struct Sealed {
    let folder: Folder
    let job: String
    let records: Int
    let lines: [String]
    let key: String
    let cluster: DevCluster

    init(_ algorithm: String, form: String = "raw") async throws {
      cluster = try await DevCluster.shared.value
      folder = try Folder()
      _ = try await cluster.json("keys", "generate", "--algorithm", algorithm, "--count", "2")
      let input = (0..<40).map { #"{"external_id": "\#(UUID()) é", "payload": "payload \#($0)"}"# }
      _ = try await cluster.json("records", "put", input: input.joined(separator: "\n"))
      let signed = try await cluster.json("sign", "--algorithm", algorithm, "--form", form, "--batch-size", "7")
      job = try #require(signed["job_id"].text)
      records = try #require(signed["signed"].number)
      let manifest = try await cluster.run("jobs", "manifest", job)
      #expect(manifest.status == 0 && records >= 40, "\(manifest.errors)")
      lines = manifest.output.split(separator: "\n").map(String.init)
      key = cluster.directory.appending(path: "manifest-key.pub.pem").path
    }

    /// Checks a manifest with nothing to connect to.
    func verify(_ lines: [String], _ more: String...) async throws -> Program.Outcome {
      let file = try folder.write(lines.joined(separator: "\n") + "\n", to: "job.manifest")
      return try await offline(["verify", "--manifest", file, "--manifest-key", key, "-o", "json"] + more)
    }

    func offline(_ arguments: [String]) async throws -> Program.Outcome {
      let nowhere = ["CHANCERY_COORDINATOR": "127.0.0.1:1", "CHANCERY_KEYKEEPER": "127.0.0.1:1"]
      return try await Program.run(Program.chancery, arguments, environment: nowhere)
    }

    /// The places of the lines that are entries.
    var entries: [Int] { lines.indices.filter { lines[$0].hasPrefix(#"{"entry":"#) } }

    /// The lines with one text put in the place of another in one of them.
    func changing(_ line: Int, _ change: (inout String) throws -> Void) rethrows -> [String] {
      var changed = lines
      try change(&changed[line])
      return changed
    }
  }

  @Test(arguments: [("ecdsa-p256", "raw"), ("ed25519", "raw"), ("rsa-pss-2048", "raw"), ("ecdsa-p256", "jws")])
  func itVerifiesWithoutAServer(_ algorithm: String, _ form: String) async throws {
    let sealed = try await Sealed(algorithm, form: form)
    defer { sealed.folder.remove() }
    let needsPayload = algorithm == "ed25519" || form == "jws"
    let alone = try await sealed.verify(sealed.lines)
    #expect(alone.status == 0, "\(alone.errors)")
    let report = try alone.json()
    #expect(report["job_id"].text == sealed.job && report["records"].number == sealed.records)
    #expect(report["verified_by_digest"].number == (needsPayload ? 0 : sealed.records))
    #expect(report["not_checked"].number == (needsPayload ? sealed.records : 0))
    #expect(report["verified_by_payload"].number == 0 && report["faulty"].number == 0)
    #expect(alone.errors.contains("were not checked") == needsPayload)

    // With payloads, as lines and as files.
    let signatures = try await sealed.cluster.run("signatures", "export", "--job", sealed.job).output
    let jsonl = try sealed.folder.write(signatures, to: "signed.jsonl")
    let directory = "\(sealed.folder.path)/payloads"
    _ = try await sealed.cluster.run("signatures", "export", "--job", sealed.job, "--directory", directory)
    for payloads in [jsonl, directory] {
      let checked = try await sealed.verify(sealed.lines, "--payloads", payloads)
      #expect(checked.status == 0, "\(checked.errors)")
      #expect(try checked.json()["verified_by_payload"].number == sealed.records)
      #expect(try checked.json()["not_checked"].number == 0)
    }
    // One byte of one payload.
    let record = try sealed.entries.map { try entry(sealed.lines[$0]) }[11]
    let file = "\(directory)/\(record).payload"
    try Data("x".utf8).write(to: URL(filePath: file))
    try expect(
      try await sealed.verify(sealed.lines, "--payloads", directory), line: sealed.entries[11], record: record,
      "payload")
  }

  @Test func oneChangedByteIsFoundAndLocated() async throws {
    let sealed = try await Sealed("ecdsa-p256")
    defer { sealed.folder.remove() }
    let line = sealed.entries[17]
    let record = try entry(sealed.lines[line])
    for (name, reason) in [
      ("signature", "leaf"), ("payload_sha256", "leaf"), ("external_id", "leaf"), ("leaf", "leaf"),
    ] {
      let changed = try sealed.changing(line) { try flip(name, in: &$0) }
      try expect(try await sealed.verify(changed), line: line, record: record, reason)
    }
    // A signature that was changed together with its leaf is still not that of its key.
    let last = sealed.lines.count - 1
    for name in ["root", "signature", "records", "lines"] {
      let changed = try sealed.changing(last) { try flip(name, in: &$0) }
      try expect(try await sealed.verify(changed), line: last, record: nil, "signature is not over")
    }
    // The header, a key, an entry too few, one too many, two in the wrong order, no end, and two.
    let header = sealed.changing(0) { $0 = $0.replacing(#""source":"records""#, with: #""source":"recordz""#) }
    try expect(try await sealed.verify(header), line: last, record: nil, "header")
    let times = try sealed.changing(0) { try flip("created_at_us", in: &$0) }
    try expect(try await sealed.verify(times), line: last, record: nil, "header, a key or a failure")
    let key = try #require(sealed.lines.firstIndex { $0.hasPrefix(#"{"key":"#) })
    let otherKey = try sealed.changing(key) { try flip("sha256", in: &$0) }
    try expect(try await sealed.verify(otherKey), line: key, record: nil, "fingerprint")
    var fewer = sealed.lines
    fewer.remove(at: line)
    try expect(try await sealed.verify(fewer), line: last - 1, record: nil, "missing")
    var order = sealed.lines
    order.swapAt(line, line + 1)
    try expect(try await sealed.verify(order), line: line + 1, record: record, "not after")
    try expect(try await sealed.verify(Array(sealed.lines.dropLast())), line: last - 1, record: nil, "cut short")
    try expect(
      try await sealed.verify(sealed.lines + [sealed.lines[last]]), line: last + 1, record: nil, "nothing may follow")
    let broken = sealed.changing(line) { $0.removeLast() }
    try expect(try await sealed.verify(broken), line: line, record: nil, "no line of a manifest")
    // Another coordinator's key.
    _ = try await Program.run(
      "openssl", ["genpkey", "-algorithm", "ed25519", "-out", "\(sealed.folder.path)/other.pem"])
    _ = try await Program.run(
      "openssl",
      ["pkey", "-in", "\(sealed.folder.path)/other.pem", "-pubout", "-out", "\(sealed.folder.path)/other.pub"])
    let file = try sealed.folder.write(sealed.lines.joined(separator: "\n"), to: "good.manifest")
    let other = try await sealed.offline([
      "verify", "--manifest", file, "--manifest-key", "\(sealed.folder.path)/other.pub", "-o", "json",
    ])
    try expect(other, line: last, record: nil, "not with the key given")
    // Without a key, the one in the manifest is used, and that is said.
    let trusting = try await sealed.offline(["verify", "--manifest", file, "-o", "json"])
    #expect(trusting.status == 0 && trusting.errors.contains("--manifest-key"))
    #expect(try trusting.json()["key_given"].value as? Bool == false)
  }

  @Test func openSSLVerifiesTheSealAndASignature() async throws {
    let sealed = try await Sealed("ecdsa-p256")
    defer { sealed.folder.remove() }
    let last = try object(try #require(sealed.lines.last))
    let seal = try #require(last["seal"] as? [String: Any])
    let statement = try sealed.folder.write(try #require(seal["statement"] as? String), to: "statement")
    let signature = "\(sealed.folder.path)/statement.sig"
    try #require(Data(base64Encoded: seal["signature"] as? String ?? "")).write(to: URL(filePath: signature))
    let verified = try await Program.run(
      "openssl", ["dgst", "-sha256", "-verify", sealed.key, "-signature", signature, statement])
    #expect(verified.status == 0, "\(verified.output) \(verified.errors)")
  }

  @Test(arguments: ["ecdsa-p256", "ed25519"])
  func oneRecordCanBeProved(_ algorithm: String) async throws {
    let sealed = try await Sealed(algorithm)
    defer { sealed.folder.remove() }
    let records = try sealed.entries.map { try entry(sealed.lines[$0]) }
    let manifest = try sealed.folder.write(sealed.lines.joined(separator: "\n"), to: "good.manifest")
    var proof = ""
    for record in [records[0], records[23], records[records.count - 1]] {
      let online = try await sealed.cluster.run("jobs", "manifest", sealed.job, "--prove", "\(record)")
      let offline = try await sealed.offline(["jobs", "manifest", "--from", manifest, "--prove", "\(record)"])
      #expect(online.status == 0 && offline.status == 0, "\(online.errors) \(offline.errors)")
      // The seal is made anew each time; the path is the same.
      #expect(try online.json()["path"].list.map(\.text) == offline.json()["path"].list.map(\.text))
      proof = online.output
      let verified = try await verify(proof, sealed)
      #expect(verified.status == 0, "\(verified.errors)")
      #expect(try verified.json()["not_checked"].number == (algorithm == "ed25519" ? 1 : 0))
    }
    let directory = "\(sealed.folder.path)/payloads"
    _ = try await sealed.cluster.run("signatures", "export", "--job", sealed.job, "--directory", directory)
    let payload = "\(directory)/\(records[records.count - 1]).payload"
    let withPayload = try await verify(proof, sealed, "--payloads", payload)
    #expect(try withPayload.json()["verified_by_payload"].number == 1)
    try Data("other".utf8).write(to: URL(filePath: payload))
    #expect(try await verify(proof, sealed, "--payloads", payload).status == 3)
    for name in ["signature", "payload_sha256", "leaf", "index", "statement"] {
      var changed = proof
      try flip(name, in: &changed)
      let verified = try await verify(changed, sealed)
      #expect(verified.status == 3, "\(name): \(verified.output)")
    }
    let missing = try await sealed.offline(["jobs", "manifest", "--from", manifest, "--prove", "999999999"])
    #expect(missing.status == 1 && missing.errors.contains("999999999"))
  }

  @Test func onlyAJobThatHasEndedHasAManifest() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate", "--algorithm", "rsa-pss-4096")
    _ = try await cluster.json("records", "generate", "--count", "1")
    let job = try await cluster.json("jobs", "submit", "--algorithm", "rsa-pss-4096", "--priority", "-100")
    let id = try #require(job["job_id"].text)
    let paused = try await cluster.run("jobs", "pause", id)
    if paused.status == 0 {
      let early = try await cluster.run("jobs", "manifest", id, "-o", "json")
      #expect(early.status != 0)
    }
    let unknown = try await cluster.run("jobs", "manifest", "0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11")
    #expect(unknown.status == 1 && unknown.errors.contains("there is no job"))
    _ = try await cluster.run("jobs", "cancel", id, "--yes")
    // A job that was cancelled has ended too: its manifest has what was signed by then.
    let manifest = try await cluster.run("jobs", "manifest", id)
    #expect(manifest.status == 0 && manifest.output.contains(#""seal""#), "\(manifest.errors)")
  }

  // MARK: - Helpers

  private func verify(_ proof: String, _ sealed: Sealed, _ more: String...) async throws -> Program.Outcome {
    let file = try sealed.folder.write(proof, to: "proof.json")
    return try await sealed.offline(["verify", "--proof", file, "--manifest-key", sealed.key, "-o", "json"] + more)
  }

  /// `line` counts from 0.
  private func expect(
    _ outcome: Program.Outcome, line: Int, record: Int?, _ reason: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(outcome.status == 3, "\(outcome.output) \(outcome.errors)", sourceLocation: sourceLocation)
    let faults = try outcome.json(sourceLocation: sourceLocation)["faults"].list
    let isNamed = faults.contains {
      $0["line"].number == line + 1 && $0["record_id"].number == record && ($0["reason"].text ?? "").contains(reason)
    }
    #expect(isNamed, "\(outcome.output)", sourceLocation: sourceLocation)
    #expect(outcome.errors.contains("verification_failed"), sourceLocation: sourceLocation)
  }

  /// Changes one character of the value of a member, or in the text of a statement.
  private func flip(_ name: String, in text: inout String) throws {
    let found = try #require(text.firstMatch(of: try Regex("\(name)\"? ?:? ?\"?([A-Za-z0-9+/])([A-Za-z0-9+/]*)")))
    let value = try #require(found.output[2].range)
    let place = text.index(value.lowerBound, offsetBy: text.distance(from: value.lowerBound, to: value.upperBound) / 2)
    let at = value.isEmpty ? try #require(found.output[1].range).lowerBound : place
    let digits: [Character] = ["1", "2"]
    text.replaceSubrange(at...at, with: [text[at] == digits[0] ? digits[1] : digits[0]])
  }

  private func entry(_ line: String) throws -> Int {
    let entry = try #require(try object(line)["entry"] as? [String: Any])
    return try #require(entry["record_id"] as? Int)
  }

  private func object(_ line: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }
}
