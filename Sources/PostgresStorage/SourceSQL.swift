import Domain

/// The parts of statements that name a source's relation and columns.
///
/// The names were quoted by the server when the source was added, so that they can be put into a statement as they are.
struct SourceSQL {
  let relation: String
  let id: String
  private let payloadColumn: String
  private let payloadType: PayloadType

  init(_ source: Source) {
    relation = source.relation
    id = source.idColumn
    payloadColumn = source.payloadColumn
    payloadType = source.payloadType
  }

  /// Whether it is not the built-in source, whose payloads are within the limit and never NULL.
  var isMapped: Bool { relation != "chancery.records" }

  /// Columns that the built-in source alone has.
  var externalID: String { isMapped ? "NULL::text" : "r.external_id" }
  var createdAt: String { isMapped ? "NULL::timestamptz" : "r.created_at" }

  /// The bytes that are signed of a row; NULL where they cannot be.
  func payload(of row: String) -> String {
    guard isMapped else { return "\(row).\(payloadColumn)" }
    let bytes = bytes(of: row)
    return "CASE WHEN octet_length(\(bytes)) <= \(Record.maximumPayloadBytes) THEN \(bytes) END"
  }

  /// The columns `id`, `payload` and, where there may be payloads that cannot be signed, `size` of a row `r`: such payloads
  /// are not sent but empty.
  var signable: String {
    guard isMapped else { return "r.\(id) AS id, \(payload(of: "r")) AS payload" }
    return "r.\(id) AS id, coalesce(\(payload(of: "r")), '') AS payload, octet_length(\(bytes(of: "r"))) AS size"
  }

  private func bytes(of row: String) -> String {
    switch payloadType {
    case .bytea: "\(row).\(payloadColumn)"
    case .text: "convert_to(\(row).\(payloadColumn), 'UTF8')"
    }
  }
}
