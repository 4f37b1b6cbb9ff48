internal import CPostgres

/// Where a PostgreSQL server is and how to talk to it.
///
/// Its description shows server, database and user, never the password.
public struct PostgresConfiguration: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The name under which the server's views and logs show the connections, unless the connection string has one.
  public var applicationName = "chancery"
  /// How long opening a connection may take, with all hosts of the connection string. Resolving a host name is bounded by
  /// the system's resolver instead.
  public var connectTimeout: Duration = .seconds(5)
  /// After how long the server itself ends a statement; nil leaves that to its configuration.
  public var statementTimeout: Duration?
  /// How long data may stay unacknowledged before a TCP connection counts as lost (`tcp_user_timeout`).
  public var tcpUserTimeout: Duration = .seconds(10)
  /// How long a TCP connection is idle before the kernel asks whether the peer still lives.
  public var keepaliveIdle: Duration = .seconds(10)
  /// How long the server may take to stop a cancelled statement before the connection is closed instead.
  public var cancelGrace: Duration = .seconds(2)
  /// How many prepared statements a connection keeps; the least recently used beyond that is dropped.
  public var statementCacheLimit = 256
  /// Settings of the server for every session, such as `jit` `off`. Names and values are letters, digits, `_` and `.` only.
  public var sessionSettings: [String: String] = [:]
  /// Receives the server's notices and warnings, on the thread of the connection: it must be brief.
  public var onNotice: (@Sendable (_ severity: String, _ message: String) -> Void)?

  /// The options of the connection string but for the password.
  private(set) var options: [(keyword: String, value: String)]
  private let password: String?

  /// A configuration from a connection string.
  ///
  /// - Parameter connectionString: what libpq accepts: a URI (`postgresql://user:secret@host:5432/name?sslmode=require`) or
  ///   keywords and values (`host=/run/postgresql dbname=chancery`). What it leaves out comes from libpq's environment
  ///   variables and `~/.pgpass`.
  /// - Throws: ``PostgresError/Code/invalidConfiguration``. The message does not quote the string, for it may hold a
  ///   password.
  public init(_ connectionString: String) throws(PostgresError) {
    guard !connectionString.utf8.contains(0), let parsed = PQconninfoParse(connectionString, nil) else {
      throw PostgresError(
        .invalidConfiguration,
        "the connection string cannot be parsed: use postgresql://user:password@host:port/database or host=… dbname=…, "
          + "with special characters percent-encoded or quoted")
    }
    defer { PQconninfoFree(parsed) }
    var options: [(String, String)] = []
    var password: String?
    var option = parsed
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val {
        switch String(cString: keyword) {
        case "password": password = String(cString: value)
        case let keyword: options.append((keyword, String(cString: value)))
        }
      }
      option += 1
    }
    self.options = options
    self.password = password
  }

  /// Whether the connection string itself has a password.
  public var hasPassword: Bool { password != nil }

  /// Server, database and user.
  public var description: String {
    let shown = ["host", "hostaddr", "port", "dbname", "user"]
    let parts = options.filter { shown.contains($0.keyword) }.map { "\($0.keyword)=\($0.value)" }
    return parts.isEmpty ? "the default server" : parts.joined(separator: " ")
  }

  /// The same as ``description``.
  public var debugDescription: String { "PostgresConfiguration(\(description))" }

  /// Shows nothing, so that `dump` does not show the password.
  public var customMirror: Mirror { Mirror(self, children: [:]) }

  /// Keywords and values for libpq; what the connection string says wins over the properties.
  var parameters: [(keyword: String, value: String)] {
    var parameters = options
    func add(_ keyword: String, _ value: String) {
      if !options.contains(where: { $0.keyword == keyword }) { parameters.append((keyword, value)) }
    }
    if let password { parameters.append(("password", password)) }
    add("application_name", applicationName)
    add("tcp_user_timeout", String(tcpUserTimeout.wholeMilliseconds))
    add("keepalives_idle", String(max(1, keepaliveIdle.components.seconds)))
    add("keepalives_interval", "3")
    add("keepalives_count", "3")
    // Texts are exchanged in UTF-8, whatever the server's database uses.
    parameters.removeAll { $0.keyword == "client_encoding" }
    parameters.append(("client_encoding", "UTF8"))
    var settings = sessionSettings
    if let statementTimeout { settings["statement_timeout"] = String(statementTimeout.wholeMilliseconds) }
    if !settings.isEmpty {
      let index = parameters.firstIndex { $0.keyword == "options" }
      let given = index.map { [parameters.remove(at: $0).value] } ?? []
      let added = settings.sorted { $0.key < $1.key }.map { "-c \($0.key)=\($0.value)" }
      parameters.append(("options", (given + added).joined(separator: " ")))
    }
    return parameters
  }
}

extension Duration {
  /// Milliseconds, rounded up.
  fileprivate var wholeMilliseconds: Int64 {
    components.seconds * 1000 + (components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
  }
}
