/// Where records live: a relation with a unique, non-null, indexed bigint id and a payload column.
public struct Source: Sendable, Hashable {
  /// The name of the source that every database has.
  public static let records = "records"

  /// Its number.
  public var id: SourceID
  /// Its unique name.
  public var name: String
  /// The relation, quoted as SQL needs it, such as `chancery.records`.
  public var relation: String
  /// The column of the record id, quoted.
  public var idColumn: String
  /// The column of the payload, quoted.
  public var payloadColumn: String

  /// Makes a source.
  public init(id: SourceID, name: String, relation: String, idColumn: String, payloadColumn: String) {
    self.id = id
    self.name = name
    self.relation = relation
    self.idColumn = idColumn
    self.payloadColumn = payloadColumn
  }
}
