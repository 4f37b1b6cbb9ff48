import ArgumentParser
import Domain
import FoundationEssentials
import Schema
import Signing
import Translation

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check exported signatures, a manifest or a proof, without any server.",
    discussion: """
      Signatures are what 'chancery signatures export' wrote; --keys is what 'chancery keys list -o json' wrote. --manifest \
      is what 'chancery jobs manifest' wrote, and --proof what that wrote with --prove: both have the keys in them, and are \
      sealed by the coordinator, whose key is given with --manifest-key. What --payloads has of payloads is checked too. Exit \
      code 3 if anything is not as it should be.

      Example: chancery verify --keys keys.json signed.jsonl
               chancery verify --manifest job.manifest
      """)

  @Argument(help: "A file of signatures; - is standard input.", completion: .file()) var file = "-"
  @Option(help: "Public keys: the output of 'keys list -o json'.", completion: .file()) var keys: String?
  @Option(help: "Check this manifest instead; - is standard input.", completion: .file()) var manifest: String?
  @Option(help: "Check this proof instead.", completion: .file()) var proof: String?
  @Option(
    help: "The coordinator's public key, PEM or DER, for a manifest or a proof.", completion: .file())
  var manifestKey: String?
  @Option(
    help: "For a manifest: exported signatures as jsonl or their directory. For a proof: a file with the payload.",
    completion: .file())
  var payloads: String?
  @Option(help: "How many faults to show.") var show = 10
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard [keys, manifest, proof].count(where: { $0 != nil }) == 1 else {
      throw ValidationError("give one of --keys, --manifest and --proof")
    }
    guard keys == nil || (manifestKey == nil && payloads == nil) else {
      throw ValidationError("--manifest-key and --payloads go with --manifest or --proof")
    }
    guard keys != nil || file == "-" else { throw ValidationError("'\(file)' is one argument too many") }
    guard show >= 0 else { throw ValidationError("--show \(show) is negative") }
  }

  func run() async throws {
    if let manifest { return try await checkManifest(manifest) }
    if let proof { return try checkProof(proof) }
    guard let keys else { preconditionFailure("validate has asked for it") }
    let verification = try Verification(keys: try PublicKeyFile.read(keys))
    let lines = try LineReader(path: file)
    let progress = ProgressLine("verifying", isQuiet: !output.output.isForPeople)
    var outcome = Verification.Outcome()
    // Two groups at a time keep two cores busy, in bounded memory.
    try await withThrowingTaskGroup(of: Verification.Outcome.self) { group in
      var running = 0
      while let signatures = try Self.nextGroup(lines) {
        if running == 2 * Verification.parallelism, let done = try await group.next() {
          outcome += done
          running -= 1
          progress.update(UInt64(outcome.checked), of: 0)
        }
        group.addTask { try await verification.check(signatures) }
        running += 1
      }
      for try await done in group { outcome += done }
    }
    progress.finish()
    try report(outcome)
  }

  private static func nextGroup(_ lines: LineReader) throws -> [ChanceryV1.Signature]? {
    var group: [ChanceryV1.Signature] = []
    while group.count < Verification.groupSize, let line = try lines.next() {
      group.append(try SignatureLine(parsing: line).message())
    }
    return group.isEmpty ? nil : group
  }

  private func report(_ outcome: Verification.Outcome) throws {
    let faults = outcome.faults.sorted { $0.recordID < $1.recordID }
    let report = Report(
      checked: outcome.checked, verified: outcome.checked - faults.count, faulty: faults.count,
      faults: Array(faults.prefix(show)))
    output.print(report, name: "verification/\(faults.isEmpty ? "passed" : "failed")", text: report.text)
    if !faults.isEmpty {
      throw CommandFailure(
        code: "verification_failed", message: "\(faults.count) of \(outcome.checked) signatures do not verify",
        exitCode: .verification)
    }
    if outcome.checked == 0 {
      throw CommandFailure(
        code: "nothing_verified", message: "there are no signatures in \(file)", exitCode: .verification)
    }
  }

  private struct Report: Encodable {
    var checked: Int
    var verified: Int
    var faulty: Int
    var faults: [Verification.Fault]

    var text: String {
      "verified  \(verified.grouped64)\nfaults    \(faulty.grouped64)\n"
        + faults.map { "record \($0.recordID): \($0.reason)\n" }.joined()
    }
  }
}

extension Int {
  /// With a comma between thousands.
  var grouped64: String { Int64(self).grouped }
}

/// Public keys from a file.
enum PublicKeyFile {
  private struct Entry: Decodable {
    var keyID: Int64
    var publicKey: String

    enum CodingKeys: String, CodingKey {
      case keyID = "key_id"
      case publicKey = "public_key_pem"
    }
  }

  /// The keys by id, from JSON.
  static func read(_ path: String) throws -> [Int64: PublicKey] {
    let bytes = try KeyFileReader.bytes(path)
    let entries: [Entry]
    do {
      entries = try JSONDecoder().decode([Entry].self, from: Data(bytes))
    } catch {
      throw CommandFailure(
        code: "malformed_keys", message: "\(path) has no list of public keys",
        hint: "write it with 'chancery keys list -o json'")
    }
    var keys: [Int64: PublicKey] = [:]
    for entry in entries {
      do {
        keys[entry.keyID] = try PublicKey(importing: Array(entry.publicKey.utf8).span)
      } catch {
        throw CommandFailure(
          code: error.code.rawValue, message: "\(path): key \(entry.keyID): \(error.message)")
      }
    }
    return keys
  }
}
