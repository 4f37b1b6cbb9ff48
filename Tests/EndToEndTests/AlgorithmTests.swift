import Foundation
import Testing

// Proves, for each algorithm, that what a user takes out of Chancery needs no Chancery to be believed: the openssl program
// verifies the exported files with the exported public key; `chancery verify` needs no server; and one changed byte is found
// and located.
@Suite("Signatures convince others")
struct AlgorithmTests {
  @Test(arguments: ["ecdsa-p256", "ed25519", "rsa-pss-2048", "rsa-pss-3072", "rsa-pss-4096"])
  func convince(_ algorithm: String) async throws {
    let cluster = try await DevCluster.shared.value
    let folder = try Folder()
    defer { folder.remove() }
    let keys = try await cluster.json("keys", "generate", "--algorithm", algorithm, "--count", "2")
    #expect(keys.list.count == 2)
    // An empty payload is signed as any other, but pkeyutl of OpenSSL 3.0 reads no empty file.
    let payloads = [
      "invoice of \(algorithm)", algorithm == "ed25519" ? "e" : "", "with \u{1F58B} and 'quotes'; DROP TABLE records",
    ]
    let lines = payloads.enumerated().map { index, payload in
      #"{"external_id": "\#(algorithm)-\#(index)", "payload_base64": "\#(Data(payload.utf8).base64EncodedString())"}"#
    }
    let put = try await cluster.json("records", "put", "-", input: lines.joined(separator: "\n"))
    #expect(put["inserted"].number == 3)
    let job = try await cluster.json("sign", "--algorithm", algorithm, "--batch-size", "2")
    let id = try #require(job["job_id"].text)
    // Records of the other algorithms are signed already.
    #expect((job["signed"].number ?? 0) >= 3 && job["failed"].number == 0)

    // openssl alone.
    let exported = try await cluster.run("signatures", "export", "--job", id, "--directory", folder.path)
    #expect(exported.status == 0, "\(exported.errors)")
    let index = try String(contentsOfFile: "\(folder.path)/signatures.csv", encoding: .utf8)
      .split(whereSeparator: \.isNewline)
    #expect(index.count == 1 + (job["signed"].number ?? 0))
    for row in index.dropFirst() {
      let fields = row.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      #expect(fields[2] == algorithm)
      let pem = try await cluster.run("keys", "get", fields[3], "-o", "pem")
      try Data(pem.output.utf8).write(to: URL(filePath: "\(folder.path)/key.pem"))
      let verified = try await openSSL(algorithm, record: fields[0], in: folder.path)
      #expect(verified.status == 0, "\(verified.output) \(verified.errors)")
      let payload = "\(folder.path)/\(fields[0]).payload"
      try (Data(contentsOf: URL(filePath: payload)) + [0x21]).write(to: URL(filePath: payload))
      #expect(try await openSSL(algorithm, record: fields[0], in: folder.path).status != 0)
    }

    // chancery verify, with nothing to connect to.
    let signatures = try await cluster.run("signatures", "export", "--job", id).output
    let publicKeys = try await cluster.run("keys", "list", "-o", "json").output
    try Data(publicKeys.utf8).write(to: URL(filePath: "\(folder.path)/keys.json"))
    let good = try await verify(signatures, keys: "\(folder.path)/keys.json")
    #expect(good.status == 0, "\(good.errors)")
    #expect(try good.json()["verified"].number == job["signed"].number)
    for field in ["payload", "signature"] {
      let (changed, record) = try changingOneByte(of: field, in: signatures)
      let bad = try await verify(changed, keys: "\(folder.path)/keys.json")
      #expect(bad.status == 3)
      #expect(try bad.json()["faults"][0]["record_id"].number == record)
      #expect(try bad.json()["faulty"].number == 1)
    }
  }

  private func openSSL(_ algorithm: String, record: String, in folder: String) async throws -> Program.Outcome {
    let files = ["\(folder)/\(record).payload", "\(folder)/\(record).sig", "\(folder)/key.pem"]
    let arguments =
      switch algorithm {
      case "ed25519":
        ["pkeyutl", "-verify", "-pubin", "-inkey", files[2], "-rawin", "-in", files[0], "-sigfile", files[1]]
      case "ecdsa-p256": ["dgst", "-sha256", "-verify", files[2], "-signature", files[1], files[0]]
      default:
        [
          "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-verify",
          files[2],
          "-signature", files[1], files[0],
        ]
      }
    return try await Program.run("openssl", arguments)
  }

  private func verify(_ signatures: String, keys: String) async throws -> Program.Outcome {
    let nowhere = [
      "CHANCERY_COORDINATOR": "127.0.0.1:1", "CHANCERY_KEYKEEPER": "127.0.0.1:1", "CHANCERY_LOGGER": "127.0.0.1:1",
    ]
    return try await Program.run(
      Program.chancery, ["verify", "--keys", keys, "-o", "json"], input: signatures, environment: nowhere)
  }

  /// Changes the first byte of a field of the first line; returns whose record it is.
  private func changingOneByte(of field: String, in lines: String) throws -> (String, Int) {
    var lines = lines.split(separator: "\n").map(String.init)
    var object = try #require(try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any])
    var bytes = try #require((object[field] as? String).flatMap { Data(base64Encoded: $0) })
    // The last byte: the first ones of a DER signature are its structure.
    bytes[bytes.count - 1] ^= 1
    object[field] = bytes.base64EncodedString()
    lines[0] = String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
    return (lines.joined(separator: "\n"), try #require(object["record_id"] as? Int))
  }
}

/// A folder for a test.
struct Folder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "chancery-e2e-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  /// Writes a file and returns its path.
  func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    return "\(path)/\(name)"
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}
