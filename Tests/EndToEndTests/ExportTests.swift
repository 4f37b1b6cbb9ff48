import Foundation
import Testing

// Proves that what is exported needs no Chancery: a JWS of each kind of key verifies with joserfc against the exported JWK set, and
// one changed byte of it does not; and the CSV is RFC 4180 as Python's csv module reads it.
@Suite("Exports are what others read", .timeLimit(.minutes(5)))
struct ExportTests {
  /// The environment with the libraries of another, by the file of this test.
  private static let python = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../Jose/python").standardizedFileURL.path
  private static let verifier = URL(filePath: python).deletingLastPathComponent().appending(path: "verify.py").path

  private func joserfc(_ lines: String, keys: String) async throws -> Program.Outcome {
    let outcome = try await Program.run(Self.python, [Self.verifier, keys], input: lines, limit: .seconds(180))
    try #require(outcome.status != 70, "there is no Python with joserfc: \(outcome.errors)")
    return outcome
  }

  @Test(arguments: ["ecdsa-p256", "ed25519", "rsa-pss-2048"])
  func aJWSVerifiesWithAnotherLibrary(_ algorithm: String) async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    _ = try await cluster.json("keys", "generate", "--algorithm", algorithm, "--count", "3")
    // Bytes that are no text, bytes that a JWS without encoding must not confuse with its own full stops, and none at all.
    let payloads = [[UInt8](0...255), Array("a.b..c".utf8), [], Array("Grüße\r\n".utf8)]
    let lines = (0..<300).map { number in
      let payload = payloads[number % payloads.count] + Array("\(algorithm) \(number)".utf8.prefix(number < 4 ? 0 : 99))
      return #"{"payload_base64": "\#(Data(payload).base64EncodedString())"}"#
    }
    let put = try await cluster.json("records", "put", input: lines.joined(separator: "\n"))
    #expect(put["inserted"].number == 300)
    let job = try await cluster.json("sign", "--algorithm", algorithm, "--form", "jws", "--batch-size", "70")
    let id = try #require(job["job_id"].text)
    #expect(job["form"].text == "jws" && (job["signed"].number ?? 0) >= 300 && job["failed"].number == 0)

    let jwks = try folder.write(try await cluster.run("keys", "export", "--format", "jwks").output, to: "keys.jwks")
    let export = try await cluster.run("signatures", "export", "--job", id, "--format", "jws")
    #expect(export.status == 0, "\(export.errors)")
    let good = try await joserfc(export.output, keys: jwks)
    #expect(
      good.status == 0 && Int(good.output.trimmingCharacters(in: .newlines)) == job["signed"].number, "\(good.errors)")

    // One byte of one payload, and one of one signature.
    var changed = export.output.split(separator: "\n").map(String.init)
    changed[5] = changed[5].replacing(#"payload":""#, with: #"payload":"AAAA"#)
    let dots = try #require(changed[9].range(of: ".."))
    let digit = changed[9][dots.upperBound]
    changed[9].replaceSubrange(dots.upperBound...dots.upperBound, with: digit == "A" ? "B" : "A")
    let bad = try await joserfc(changed.joined(separator: "\n"), keys: jwks)
    let records = try [5, 9].map { index in
      let object = try JSONSerialization.jsonObject(with: Data(changed[index].utf8)) as? [String: Any]
      return try #require(object?["record_id"] as? Int)
    }
    #expect(bad.status == 1 && bad.errors.split(separator: "\n").count == 2, "\(bad.errors)")
    for record in records { #expect(bad.errors.contains("record \(record):")) }

    // Our own check knows the form, and so does the audit.
    let keys = try folder.write(try await cluster.run("keys", "list", "-o", "json").output, to: "keys.json")
    let signatures = try await cluster.run("signatures", "export", "--job", id).output
    let verified = try await cluster.run(["verify", "--keys", keys, "-o", "json"], input: signatures)
    #expect(try verified.json()["verified"].number == job["signed"].number)
    let asRaw = signatures.replacing(#""form":"jws","#, with: "")
    #expect(try await cluster.run(["verify", "--keys", keys, "-o", "json"], input: asRaw).status == 3)
    let directory = "\(folder.path)/files"
    #expect(try await cluster.run("signatures", "export", "--job", id, "--directory", directory).status == 0)
    let compact = try String(contentsOfFile: "\(directory)/\(records[0]).jws", encoding: .utf8)
    #expect(export.output.contains(#""jws":"\#(compact)""#))
    try await cluster.expectSoundness()
  }

  @Test func whatWasSignedRawCannotBeAJWS() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate")
    _ = try await cluster.json("records", "generate", "--count", "2")
    let job = try await cluster.json("sign")
    let id = try #require(job["job_id"].text)
    let export = try await cluster.run("signatures", "export", "--job", id, "--format", "jws")
    #expect(export.status == 1 && export.errors.contains("--form jws"))
    let both = try await cluster.run("signatures", "export", "--format", "csv", "--directory", "x")
    #expect(both.status == 64)
  }

  @Test func aSignatureIsARowOfCSV() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate")
    let name = "of \"many\", and\nlong"
    let line = try JSONSerialization.data(withJSONObject: ["external_id": name, "payload": "p"])
    _ = try await cluster.json("records", "put", input: String(decoding: line, as: UTF8.self))
    let id = try #require(try await cluster.json("sign")["job_id"].text)
    let csv = try await cluster.run("signatures", "export", "--job", id, "--format", "csv").output
    #expect(csv.hasPrefix("record_id,external_id,algorithm,form,"))
    let script = "import csv, json, sys; print(json.dumps(list(csv.DictReader(open(0, newline='')))))"
    let rows = try await Program.run("python3", ["-c", script], input: csv).json().list
    let row = try #require(rows.first { $0["external_id"].text == name })
    #expect(row["form"].text == "raw" && row["algorithm"].text == "ecdsa-p256" && row["job_id"].text == id)
    // SHA-256 of "p".
    #expect(row["payload_sha256"].text == "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940")
    #expect(Data(base64Encoded: row["signature"].text ?? "")?.first == 0x30)
  }

  @Test func keysAreExportedAsPEM() async throws {
    let cluster = try await DevCluster.shared.value
    _ = try await cluster.json("keys", "generate", "--algorithm", "ed25519", "--count", "2")
    let pem = try await cluster.run("keys", "export", "--format", "pem", "--algorithm", "ed25519").output
    let keys = try await cluster.json("keys", "list", "--algorithm", "ed25519")
    #expect(pem == keys.list.map { $0["public_key_pem"].text ?? "" }.joined() && keys.list.count >= 2)
  }
}
