/// A data type of the server by its object id. The ids of built-in types never change (`pg_type.dat`).
struct PostgresType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  let rawValue: UInt32

  static let bool = PostgresType(rawValue: 16)
  static let bytea = PostgresType(rawValue: 17)
  static let name = PostgresType(rawValue: 19)
  static let int8 = PostgresType(rawValue: 20)
  static let int2 = PostgresType(rawValue: 21)
  static let int4 = PostgresType(rawValue: 23)
  static let text = PostgresType(rawValue: 25)
  static let oid = PostgresType(rawValue: 26)
  static let json = PostgresType(rawValue: 114)
  static let float4 = PostgresType(rawValue: 700)
  static let float8 = PostgresType(rawValue: 701)
  static let unknown = PostgresType(rawValue: 705)
  static let bpchar = PostgresType(rawValue: 1042)
  static let varchar = PostgresType(rawValue: 1043)
  static let timestamptz = PostgresType(rawValue: 1184)
  static let interval = PostgresType(rawValue: 1186)
  static let numeric = PostgresType(rawValue: 1700)
  static let uuid = PostgresType(rawValue: 2950)
  static let jsonb = PostgresType(rawValue: 3802)
  static let void = PostgresType(rawValue: 2278)

  static let boolArray = PostgresType(rawValue: 1000)
  static let byteaArray = PostgresType(rawValue: 1001)
  static let int4Array = PostgresType(rawValue: 1007)
  static let textArray = PostgresType(rawValue: 1009)
  static let varcharArray = PostgresType(rawValue: 1015)
  static let int8Array = PostgresType(rawValue: 1016)
  static let uuidArray = PostgresType(rawValue: 2951)

  private static let names: [PostgresType: String] = [
    .bool: "boolean", .bytea: "bytea", .name: "name", .int8: "bigint", .int2: "smallint", .int4: "integer",
    .text: "text", .oid: "oid", .json: "json", .float4: "real", .float8: "double precision", .unknown: "unknown",
    .bpchar: "character", .varchar: "character varying", .timestamptz: "timestamptz", .interval: "interval",
    .numeric: "numeric", .uuid: "uuid", .jsonb: "jsonb", .void: "void", .boolArray: "boolean[]",
    .byteaArray: "bytea[]", .int4Array: "integer[]", .textArray: "text[]", .varcharArray: "character varying[]",
    .int8Array: "bigint[]", .uuidArray: "uuid[]",
  ]

  /// The name as SQL spells it, or the object id of a type that the driver does not know.
  var description: String { Self.names[self] ?? "the type with oid \(rawValue)" }

  /// Whether the binary form of the type is its text in UTF-8.
  var isTextual: Bool {
    switch self {
    case .text, .varchar, .bpchar, .name, .json, .unknown: true
    default: false
    }
  }
}
