import Domain

/// The parts of statements that name a source's table and columns.
///
/// The names were quoted by the server when the source was added, so that they can be put into a statement as they are.
struct SourceSQL {
  let relation: String
  let id: String
  let payload: String

  init(_ source: Source) {
    relation = source.relation
    id = source.idColumn
    payload = source.payloadColumn
  }

  /// Columns that the built-in source alone has.
  private var isRecords: Bool { relation == "chancery.records" }
  var externalID: String { isRecords ? "r.external_id" : "NULL::text" }
  var createdAt: String { isRecords ? "r.created_at" : "NULL::timestamptz" }
}
