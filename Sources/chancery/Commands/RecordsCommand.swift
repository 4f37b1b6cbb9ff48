import ArgumentParser
import Domain
import FoundationEssentials
import RPC
import Schema
import TimeAndChance

struct RecordsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "records", abstract: "Put records in and look at them.",
    subcommands: [Put.self, Get.self, Generate.self])
}

extension RecordsCommand {
  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a record, or what became of it.", discussion: "Example: chancery records get 42 --status")

    @Argument(help: "The record's id, or its external id with --external.") var record: String
    @Flag(help: "The argument is an external id.") var external = false
    @Flag(help: "Show what became of the record instead of its payload.") var status = false
    @Option(help: "With --status: in this job only.") var job: String?
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard external || Int64(record) != nil else {
        throw ValidationError("'\(record)' is no record id; add --external if it is an external id")
      }
      guard job == nil || status else { throw ValidationError("--job goes with --status") }
    }

    func run() async throws {
      try await connection.with(.coordinator) { channel in
        let client = ChanceryV1.Records.Client(channel)
        if status {
          let name: ChanceryV1.GetRecordStatusRequest.Name =
            external ? .externalID(record) : .recordID(Int64(record) ?? 0)
          let request = ChanceryV1.GetRecordStatusRequest(name: name, jobID: job ?? "")
          output.print(RecordStatusRow(try await client.getStatus(request, options: connection.call)))
        } else {
          let name: ChanceryV1.GetRecordRequest.Name = external ? .externalID(record) : .recordID(Int64(record) ?? 0)
          output.print(RecordRow(try await client.get(.init(name: name), options: connection.call)))
        }
      }
    }
  }

  struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Append random records, to try things.",
      discussion: "Example: chancery records generate --count 100000 --size 192")

    @Option(parsing: .unconditional, help: "How many.") var count = 1000
    @Option(parsing: .unconditional, help: "Bytes of payload of each, 0 to \(Record.maximumPayloadBytes).") var size =
      192
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard count > 0 else { throw ValidationError("--count \(count) is not positive") }
      guard (0...Record.maximumPayloadBytes).contains(size) else {
        throw ValidationError("--size \(size) is not between 0 and \(Record.maximumPayloadBytes)")
      }
    }

    func run() async throws {
      let response = try await connection.with(.coordinator) { channel in
        try await RecordUpload.generate(count: count, size: size, on: channel)
      }
      output.print(PutRow(response))
    }
  }
}

/// Streaming records to the coordinator, in messages of bounded size.
enum RecordUpload {
  /// Sends records until `next` returns nil. The call is finished, or fails, as one; what was stored by then stays.
  static func run(
    on channel: any RPCChannel, _ next: () throws -> ChanceryV1.NewRecord?
  ) async throws -> ChanceryV1.PutRecordsResponse {
    try await ChanceryV1.Records.Client(channel).put { requests in
      var records: [ChanceryV1.NewRecord] = []
      var bytes = 0
      while let record = try next() {
        let size = record.payload.count
        if !records.isEmpty, bytes + size > StreamLimits.chunkBytes || records.count == StreamLimits.chunkRecords {
          try await requests.write(.init(records: records))
          (records, bytes) = ([], 0)
        }
        records.append(record)
        bytes += size
      }
      if !records.isEmpty { try await requests.write(.init(records: records)) }
    }
  }

  /// Sends `count` records of random bytes, with live progress.
  static func generate(
    count: Int, size: Int, on channel: any RPCChannel, isQuiet: Bool = false
  ) async throws -> ChanceryV1.PutRecordsResponse {
    let progress = ProgressLine("records", isQuiet: isQuiet)
    defer { progress.finish() }
    var sent = 0
    var generator = SystemRandomNumberGenerator()
    return try await run(on: channel) {
      guard sent < count else { return nil }
      sent += 1
      progress.update(UInt64(sent), of: UInt64(count))
      return ChanceryV1.NewRecord(payload: randomBytes(size, &generator))
    }
  }

  private static func randomBytes(_ count: Int, _ generator: inout SystemRandomNumberGenerator) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      var index = 0
      while index < count {
        var word = generator.next()
        for _ in 0..<min(8, count - index) {
          buffer.initializeElement(at: index, to: UInt8(truncatingIfNeeded: word))
          word >>= 8
          index += 1
        }
      }
      initialized = count
    }
  }
}

/// What was stored, as `records put` prints it.
struct PutRow: TableRow {
  var inserted: UInt64
  var existing: UInt64
  var lastRecordID: Int64

  enum CodingKeys: String, CodingKey {
    case inserted, existing
    case lastRecordID = "last_record_id"
  }

  init(_ response: ChanceryV1.PutRecordsResponse) {
    inserted = response.inserted
    existing = response.existing
    lastRecordID = response.lastRecordID
  }

  static let columns = [TableColumn("INSERTED"), TableColumn("EXISTING"), TableColumn("LAST RECORD")]
  var resourceName: String { "record/\(lastRecordID)" }

  var cells: [String] { [inserted.grouped, existing.grouped, String(lastRecordID)] }
}

/// A record as `records get` prints it.
private struct RecordRow: TableRow {
  var recordID: Int64
  var externalID: String
  var payloadBytes: Int
  var payloadBase64: String
  var createdAt: String?

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case externalID = "external_id"
    case payloadBytes = "payload_bytes"
    case payloadBase64 = "payload_base64"
    case createdAt = "created_at"
  }

  init(_ record: ChanceryV1.Record) {
    recordID = record.recordID
    externalID = record.externalID
    payloadBytes = record.payload.count
    payloadBase64 = Data(record.payload).base64EncodedString()
    createdAt = Date(microseconds: record.createdAtUs)?.text
  }

  static let columns = [
    TableColumn("RECORD"), TableColumn("EXTERNAL ID"), TableColumn("BYTES"), TableColumn("PAYLOAD (BASE64)", limit: 72),
    TableColumn("CREATED"),
  ]

  var resourceName: String { "record/\(recordID)" }

  var cells: [String] { [String(recordID), externalID, String(payloadBytes), payloadBase64, createdAt ?? ""] }
}

/// What became of a record, as `records get --status` prints it.
private struct RecordStatusRow: TableRow {
  var recordID: Int64
  var state: String
  var jobID: String?
  var keyID: Int64?
  var signedAt: String?
  var failureCode: String?
  var failureMessage: String?

  enum CodingKeys: String, CodingKey {
    case recordID = "record_id"
    case state
    case jobID = "job_id"
    case keyID = "key_id"
    case signedAt = "signed_at"
    case failureCode = "failure_code"
    case failureMessage = "failure_message"
  }

  init(_ status: ChanceryV1.RecordStatus) {
    recordID = status.recordID
    state = "\(status.state)"
    jobID = status.signature?.jobID ?? status.failure?.jobID
    keyID = status.signature?.keyID
    signedAt = status.signature.flatMap { Date(microseconds: $0.signedAtUs)?.text }
    failureCode = status.failure?.code
    failureMessage = status.failure?.message
  }

  static let columns = [
    TableColumn("RECORD"), TableColumn("STATE", isState: true), TableColumn("JOB"), TableColumn("KEY"),
    TableColumn("SIGNED"),
    TableColumn("FAILURE"),
  ]

  var resourceName: String { "record/\(recordID)" }

  var cells: [String] {
    let failure = failureCode.map { "\($0): \(failureMessage ?? "")" }
    return [
      String(recordID), state, jobID ?? "", keyID.map(String.init) ?? "", signedAt ?? "", failure ?? "",
    ]
  }
}
