/// An answer of Redis, or a part of one.
public enum RedisValue: Sendable, Hashable {
  /// A whole number.
  case integer(Int64)
  /// A string of bytes.
  case bulk([UInt8])
  /// A short text of the server, such as `OK`.
  case simple(String)
  /// Several values.
  case array([RedisValue])
  /// Nothing: Lua's `false` and `nil`, a key that does not exist.
  case null
  /// An error within an array. An answer that is an error as a whole is thrown instead.
  case error(String)

  /// The kind of the value, for messages.
  private var kind: String {
    switch self {
    case .integer: "an integer"
    case .bulk: "bytes"
    case .simple: "a status"
    case .array(let values): "an array of \(values.count)"
    case .null: "nothing"
    case .error(let message): "the error \(message)"
    }
  }

  /// Whether this is nothing.
  public var isNull: Bool { self == .null }

  /// A whole number, also if it was sent as text.
  ///
  /// - Throws: `decoding`.
  public func int64() throws(RedisError) -> Int64 {
    switch self {
    case .integer(let value): return value
    case .bulk(let bytes):
      if let value = Int64(String(decoding: bytes, as: UTF8.self)) { return value }
    default: break
    }
    throw mismatch("an integer")
  }

  /// A string of bytes.
  ///
  /// - Throws: `decoding`.
  public func bytes() throws(RedisError) -> [UInt8] {
    switch self {
    case .bulk(let bytes): return bytes
    case .simple(let text): return Array(text.utf8)
    default: throw mismatch("bytes")
    }
  }

  /// A text in UTF-8.
  ///
  /// - Throws: `decoding`.
  public func text() throws(RedisError) -> String {
    switch self {
    case .simple(let text): return text
    case .bulk(let bytes):
      if let text = String(validating: bytes, as: UTF8.self) { return text }
    default: break
    }
    throw mismatch("text")
  }

  /// The values of an array, which must be as many as given.
  ///
  /// - Throws: `decoding`.
  public func array(count: Int? = nil) throws(RedisError) -> [RedisValue] {
    guard case .array(let values) = self, count == nil || count == values.count else {
      throw mismatch(count.map { "an array of \($0)" } ?? "an array")
    }
    return values
  }

  private func mismatch(_ wanted: String) -> RedisError {
    RedisError(.decoding, "the answer is \(kind) and was read as \(wanted)")
  }
}

/// A word of a command: a name, key or value.
public enum RedisArgument: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
  ExpressibleByIntegerLiteral
{
  /// A text, sent in UTF-8.
  case text(String)
  /// Bytes.
  case bytes([UInt8])
  /// A number, sent in decimal digits.
  case integer(Int64)

  /// A text.
  public init(stringLiteral value: String) { self = .text(value) }
  /// A number.
  public init(integerLiteral value: Int64) { self = .integer(value) }
}
