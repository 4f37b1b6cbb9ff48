/// Where records live: a relation with a unique, non-null bigint id and a payload column.
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
  /// What its payloads are.
  public var payloadType: PayloadType

  /// Makes a source.
  public init(
    id: SourceID, name: String, relation: String, idColumn: String, payloadColumn: String,
    payloadType: PayloadType = .bytea
  ) {
    self.id = id
    self.name = name
    self.relation = relation
    self.idColumn = idColumn
    self.payloadColumn = payloadColumn
    self.payloadType = payloadType
  }
}

/// What payloads of a source are.
public enum PayloadType: String, Sendable, Hashable, CaseIterable {
  /// Bytes, signed as they are.
  case bytea
  /// Text, whose UTF-8 bytes are signed.
  case text
}
