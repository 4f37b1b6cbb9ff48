import FoundationEssentials
import Schema

/// Records as lines of JSON.
struct RecordLines: RecordInput {
  private let lines: LineReader

  init(path: String) throws { lines = try LineReader(path: path) }

  mutating func next() throws -> ChanceryV1.NewRecord? { try lines.next().map(RecordLine.parse) }
}

/// A record as a line of JSON.
private struct RecordLine: Decodable {
  var externalID: String?
  var payload: String?
  var payloadBase64: Data?

  enum CodingKeys: String, CodingKey {
    case externalID = "external_id"
    case payload
    case payloadBase64 = "payload_base64"
  }

  static func parse(_ line: NumberedLine) throws -> ChanceryV1.NewRecord {
    let record: RecordLine
    do {
      record = try JSONDecoder().decode(RecordLine.self, from: Data(line.bytes))
    } catch {
      throw CommandFailure(
        code: "malformed_record", message: "line \(line.number) is not a record as JSON",
        hint: #"a record is {"external_id": "…", "payload": "text"} or {"payload_base64": "…"}"#)
    }
    let payload: [UInt8]
    switch (record.payload, record.payloadBase64) {
    case (let text?, nil): payload = Array(text.utf8)
    case (nil, let data?): payload = [UInt8](data)
    default:
      throw CommandFailure(
        code: "malformed_record", message: "line \(line.number) needs either payload or payload_base64")
    }
    return try .init(payload: payload, externalID: record.externalID ?? "", at: "line \(line.number)")
  }
}
