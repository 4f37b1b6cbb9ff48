import ArgumentParser
import Domain
import FoundationEssentials
import RPC
import Schema
import Translation

struct SignaturesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signatures", abstract: "Take signatures out.", subcommands: [Export.self])

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write stored signatures to a file, or one file each.",
      discussion: """
        JSON lines hold everything that 'chancery verify' needs but the public keys; csv leaves payloads out; jws writes what \
        a job of the form jws has signed as JWS with detached payloads, which 'chancery keys export --format jwks' has the keys \
        for. With --directory, each record becomes ID.payload and ID.sig, as openssl reads them, or ID.jws; signatures.csv says \
        which key signed which. Example: chancery signatures export --job 0190a3c2-… > signed.jsonl
        """)

    @Option(help: "Signatures of this job only.") var job: String?
    @Option(help: "Signatures of this source, if no job is given.") var source = Source.records
    @Option(help: "Continue after this record.") var after: Int64 = 0
    @Option(help: "As what to write signatures: jsonl (the default), csv or jws.") var format: SignatureFormat?
    @Option(help: "Write files into this directory instead.", completion: .directory) var directory: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      guard directory == nil || format == nil else {
        throw ValidationError("--format is for standard output; --directory has one format of its own")
      }
    }

    func run() async throws {
      let count = try await connection.with(.coordinator) { channel in
        guard let directory else {
          let format = format ?? .jsonl
          StandardOutput.write(format.heading)
          return try await SignatureExport.run(job: job, source: source, after: after, on: channel) { signatures in
            StandardOutput.write(try signatures.map(format.line).joined())
          }
        }
        let files = try SignatureDirectory(directory)
        return try await SignatureExport.run(job: job, source: source, after: after, on: channel) { try files.add($0) }
      }
      StandardError.write("\(count) signatures\n")
    }
  }
}

/// Reading all signatures, over interruptions of the connection.
enum SignatureExport {
  /// Hands the signatures to `body`, some at a time, in the order of record ids; returns how many there were.
  static func run(
    job: String?, source: String = Source.records, after: Int64 = 0, on channel: any RPCChannel,
    _ body: ([ChanceryV1.Signature]) async throws -> Void
  ) async throws -> Int {
    let client = ChanceryV1.Records.Client(channel)
    var count = 0
    var after = after
    var failures = 0
    while true {
      do {
        let request = ChanceryV1.ExportSignaturesRequest(
          jobID: job ?? "", source: job == nil ? source : "", afterRecordID: after, includePayload: true)
        try await client.export(request) { pages in
          for try await page in pages {
            try await body(page.signatures)
            count += page.signatures.count
            after = page.signatures.last?.recordID ?? after
            failures = 0
          }
        }
        return count
      } catch let error as RPCError where error.code == .unavailable && count > 0 && failures < 50 {
        failures += 1
        try await Task.sleep(for: .milliseconds(200))
      }
    }
  }
}

/// A signature as a line of JSON: bytes as base64, the digest in hexadecimal as `sha256sum` prints it.
struct SignatureLine: Codable {
  var recordID: Int64
  var externalID: String?
  var jobID: String
  var batch: UInt32
  var keyID: Int64
  var keyEpoch: Int64
  var algorithm: String
  /// Nil for `raw`.
  var form: String?
  var signature: Data
  var payload: Data
  var payloadSHA256: String
  var signedAt: String?

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case externalID = "external_id"
    case jobID = "job_id"
    case batch
    case keyID = "key_id"
    case keyEpoch = "key_epoch"
    case algorithm, form, signature, payload
    case payloadSHA256 = "payload_sha256"
    case signedAt = "signed_at"
  }

  init(_ signature: ChanceryV1.Signature) {
    recordID = signature.recordID
    externalID = signature.externalID.isEmpty ? nil : signature.externalID
    jobID = signature.jobID
    batch = signature.batchSeq
    keyID = signature.keyID
    keyEpoch = signature.keyEpoch
    algorithm = signature.algorithm.name
    form = signature.form == .raw ? nil : "\(signature.form)"
    self.signature = Data(signature.signature)
    payload = Data(signature.payload)
    payloadSHA256 = signature.payloadDigest.hexText
    signedAt = Date(microseconds: signature.signedAtUs)?.text
  }

  /// Reads a line. Throws `malformed_signature`.
  init(parsing line: NumberedLine) throws {
    do {
      self = try JSONDecoder().decode(SignatureLine.self, from: Data(line.bytes))
    } catch {
      throw CommandFailure(
        code: "malformed_signature", message: "line \(line.number) is not a signature as JSON",
        hint: "write the file with 'chancery signatures export'", exitCode: .verification)
    }
  }

  /// The message that the line was made from, as far as a check needs it. Throws saying what is wrong with it.
  func message() throws -> ChanceryV1.Signature {
    guard let algorithm = SignatureAlgorithm(rawValue: algorithm) else {
      throw CommandFailure(
        code: "unknown_algorithm", message: "record \(recordID): \(UnknownSignatureAlgorithm(name: algorithm))")
    }
    guard let form = SignatureForm(rawValue: form ?? SignatureForm.raw.rawValue) else {
      throw CommandFailure(
        code: "unknown_form", message: "record \(recordID): form '\(form ?? "")' is not known",
        hint:
          "forms are \(SignatureForm.allCases.map(\.rawValue).joined(separator: ", ")); a newer version may know more")
    }
    return ChanceryV1.Signature(
      recordID: recordID, jobID: jobID, batchSeq: batch, keyID: keyID, keyEpoch: keyEpoch,
      algorithm: algorithm.message, signature: [UInt8](signature), payloadDigest: [UInt8](hexText: payloadSHA256),
      payload: [UInt8](payload), form: form.message)
  }
}

extension [UInt8] {
  /// The bytes that hexadecimal digits write; empty if they do not.
  init(hexText: String) {
    self = []
    var digits = hexText.utf8.makeIterator()
    while let first = digits.next() {
      guard let second = digits.next(), let byte = UInt8(String(decoding: [first, second], as: UTF8.self), radix: 16)
      else {
        self = []
        return
      }
      append(byte)
    }
  }
}
