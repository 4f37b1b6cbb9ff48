/// A parameter of a statement. It is sent in binary form.
///
/// The server decides the type of each parameter (`$1::bigint[]`); a value of another type is refused before anything is
/// sent, except that whole numbers are converted to any integer type in whose range they are, and text to any type: the
/// server then reads it as it reads a literal.
public enum PostgresValue: Sendable, Hashable {
  /// NULL, of any type.
  case null
  /// `boolean`.
  case bool(Bool)
  /// `smallint`, or another integer type.
  case int16(Int16)
  /// `integer`, or another integer type.
  case int32(Int32)
  /// `bigint`, or another integer type.
  case int64(Int64)
  /// `double precision` or `real`.
  case double(Double)
  /// `text`, or the text form of any other type but `bytea`. PostgreSQL stores no NUL character: such text is refused.
  case text(String)
  /// `bytea`.
  case bytea([UInt8])
  /// `uuid`.
  case uuid(PostgresUUID)
  /// `timestamptz`.
  case timestamp(PostgresTimestamp)
  /// `interval`.
  case interval(PostgresInterval)
  /// `interval`, from a span of fixed length, cut to microseconds.
  case duration(Duration)

  /// `boolean[]`.
  case boolArray([Bool])
  /// `integer[]`.
  case int32Array([Int32])
  /// `bigint[]`.
  case int64Array([Int64])
  /// `text[]`.
  case textArray([String])
  /// `text[]` with NULLs.
  case nullableTextArray([String?])
  /// `uuid[]`.
  case uuidArray([PostgresUUID])
  /// `bytea[]` from one buffer for each element. For many elements use one of the next two.
  case byteaArray([[UInt8]])
  /// `bytea[]` from one buffer that holds all elements after each other, and the size of each. No memory is allocated
  /// for an element.
  case concatenatedByteaArray([UInt8], sizes: [UInt32])
  /// `bytea[]` from one buffer that holds all elements after each other, all of the same size, which must divide the size
  /// of the buffer. No memory is allocated for an element.
  case fixedByteaArray(concatenated: [UInt8], elementSize: Int)

  /// `bytea[]` from one buffer that holds all elements after each other, and the size of each.
  public static func byteaArray(concatenated bytes: [UInt8], sizes: [UInt32]) -> PostgresValue {
    .concatenatedByteaArray(bytes, sizes: sizes)
  }

  /// The kind of the value, for messages; the value itself may be secret.
  var kind: String {
    switch self {
    case .null: "NULL"
    case .bool: "a boolean"
    case .int16: "a 16-bit integer"
    case .int32: "a 32-bit integer"
    case .int64: "a 64-bit integer"
    case .double: "a double"
    case .text: "a text"
    case .bytea: "a byte string"
    case .uuid: "a uuid"
    case .timestamp: "a timestamp"
    case .interval: "an interval"
    case .duration: "a duration"
    case .boolArray: "an array of booleans"
    case .int32Array: "an array of 32-bit integers"
    case .int64Array: "an array of 64-bit integers"
    case .textArray, .nullableTextArray: "an array of texts"
    case .uuidArray: "an array of uuids"
    case .byteaArray, .concatenatedByteaArray, .fixedByteaArray: "an array of byte strings"
    }
  }
}

extension PostgresValue {
  /// The value, or NULL for nil.
  public static func optional<T>(_ value: T?, _ make: (T) -> PostgresValue) -> PostgresValue {
    value.map(make) ?? .null
  }
}
