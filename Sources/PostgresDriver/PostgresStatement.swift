/// A statement that is prepared once in each session and then run with different parameters.
///
/// Statements with the same text are the same statement. Make them `static let`: the name is computed once.
public struct PostgresStatement: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The SQL text, with parameters `$1`, `$2`, …
  public let sql: String
  /// Whether the statement changes nothing, so that it may be sent again after a lost connection.
  ///
  /// A connection that ends while such a statement runs outside a transaction block is reported as
  /// ``PostgresError/Code/connectionLost`` and not as ``PostgresError/Code/commitOutcomeUnknown``.
  public let isReadOnly: Bool

  /// The name under which sessions know the statement: a hash of its text.
  let name: String
  let key: UInt64
  /// Whether sessions keep the statement prepared; otherwise it has no parameters and is parsed on each run.
  let isPrepared: Bool

  /// A statement by its text.
  ///
  /// - Parameters:
  ///   - sql: one SQL statement with parameters `$1`, `$2`, … It must not hold values from outside.
  ///   - isReadOnly: whether the statement changes nothing.
  public init(_ sql: String, isReadOnly: Bool = false) {
    self.init(sql, isReadOnly: isReadOnly, isPrepared: true)
  }

  init(_ sql: String, isReadOnly: Bool, isPrepared: Bool) {
    var sql = sql
    sql.makeContiguousUTF8()
    self.sql = sql
    self.isReadOnly = isReadOnly
    // FNV-1a, 64 bits. Should two texts collide, the cache of the session notices: it compares the texts.
    key = sql.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    name = Self.name(of: key)
    self.isPrepared = isPrepared
  }

  /// A statement from a literal, taken to change something.
  public init(stringLiteral value: String) {
    self.init(value)
  }

  /// The beginning of the text, for messages.
  public var description: String { Self.excerpt(of: sql) }

  /// Compares the texts.
  public static func == (left: PostgresStatement, right: PostgresStatement) -> Bool {
    left.key == right.key && left.sql == right.sql
  }

  /// Hashes the text.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(key)
  }

  static func name(of key: UInt64) -> String { "c_" + String(key, radix: 16) }

  /// The first words of a statement on one line, at most 80 characters.
  static func excerpt(of sql: String) -> String {
    let words = sql.prefix(400).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return words.count > 80 ? words.prefix(79) + "…" : words
  }
}

/// A statement and the parameters for one run of it, as a pipeline takes them.
public struct PostgresRequest: Sendable {
  /// What to run.
  public var statement: PostgresStatement
  /// Its parameters in order.
  public var parameters: [PostgresValue]

  /// A statement with its parameters.
  public init(_ statement: PostgresStatement, _ parameters: [PostgresValue] = []) {
    self.statement = statement
    self.parameters = parameters
  }
}
