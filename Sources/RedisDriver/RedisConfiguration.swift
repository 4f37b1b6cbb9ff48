/// Where a Redis server is and how to talk to it. Its description shows the address and the user, never the password.
public struct RedisConfiguration: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// How a server is reached.
  public enum Address: Sendable, Hashable, CustomStringConvertible {
    /// Over TCP.
    case tcp(host: String, port: Int)
    /// Through a Unix socket.
    case unix(path: String)

    /// `host:port` or the path.
    public var description: String {
      switch self {
      case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      case .unix(let path): path
      }
    }
  }

  /// Where the server is.
  public let address: Address
  /// The user, if not the default one.
  public let username: String?
  /// The number of the database.
  public let database: Int
  let password: String?

  /// How long opening a connection may take. Resolving a host name is bounded by the system's resolver instead.
  public var connectTimeout: Duration = .seconds(5)
  /// How long a command may take for which the caller gives no deadline.
  public var commandTimeout: Duration = .seconds(5)

  /// A configuration from a URL.
  ///
  /// - Parameter url: `redis://[user:password@]host[:port][/database]` or `unix://[user:password@]/path[?db=database]`.
  ///   User and password are percent-encoded; the user may be empty.
  /// - Throws: `invalidConfiguration`. The message does not quote the URL, for it may hold a password.
  public init(_ url: String) throws(RedisError) {
    var rest = Substring(url)
    let isUnix = url.hasPrefix("unix://")
    guard isUnix || url.hasPrefix("redis://"), !url.utf8.contains(0) else {
      throw Self.invalid("it must begin with redis:// or unix:// (TLS, rediss://, is not supported)")
    }
    rest.removeFirst(isUnix ? 7 : 8)

    var username: String?
    var password: String?
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard let user = Self.decodePercents(parts[0]) else { throw Self.invalid("the user is not percent-encoded") }
      username = user.isEmpty ? nil : user
      if parts.count == 2 {
        guard let decoded = Self.decodePercents(parts[1]) else {
          throw Self.invalid("the password is not percent-encoded")
        }
        password = decoded
      }
      guard password != nil else { throw Self.invalid("there is a user but no password: write user:password@") }
      rest = rest[rest.index(after: at)...]
    }
    let location = isUnix ? try Self.parseUnix(rest) : try Self.parseTCP(rest)
    guard let database = location.database.isEmpty ? 0 : Int(location.database), (0..<1 << 16).contains(database) else {
      throw Self.invalid("the database must be a number")
    }
    address = location.address
    self.database = database
    self.username = username
    self.password = password
  }

  /// Address, database and user.
  public var description: String {
    "redis at \(address), database \(database)\(username.map { ", user \($0)" } ?? "")"
  }

  /// The same as ``description``.
  public var debugDescription: String { description }

  /// Shows nothing, so that `dump` does not show the password.
  public var customMirror: Mirror { Mirror(self, children: [:]) }

  private static func invalid(_ reason: String) -> RedisError {
    RedisError(
      .invalidConfiguration,
      "the Redis URL is not valid: \(reason); "
        + "write redis://[user:password@]host[:port][/database] or unix://[user:password@]/path[?db=database]")
  }

  private static func parseUnix(_ text: Substring) throws(RedisError) -> (address: Address, database: Substring) {
    let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let path = parts.first, path.hasPrefix("/") else { throw invalid("the path must begin with /") }
    // sun_path has 108 bytes, with the terminating NUL.
    guard path.utf8.count < 108 else { throw invalid("the path of a Unix socket has at most 107 bytes") }
    guard parts.count == 1 || parts[1].hasPrefix("db=") else { throw invalid("the only option is db") }
    return (.unix(path: String(path)), parts.count == 1 ? "" : parts[1].dropFirst(3))
  }

  private static func parseTCP(_ text: Substring) throws(RedisError) -> (address: Address, database: Substring) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let authority = parts[0]
    var host = authority
    var port: Substring = ""
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      host = authority[authority.index(after: authority.startIndex)..<end]
      let after = authority[authority.index(after: end)...]
      guard after.isEmpty || after.hasPrefix(":") else { throw invalid("after ] only a port may come") }
      port = after.dropFirst()
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      port = authority[authority.index(after: colon)...]
    }
    guard !host.isEmpty else { throw invalid("the host is missing") }
    guard let number = port.isEmpty ? 6379 : Int(port), (1...65535).contains(number) else {
      throw invalid("the port must be a number from 1 to 65535")
    }
    return (.tcp(host: String(host), port: number), parts.count == 2 ? parts[1] : "")
  }

  private static func decodePercents(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else { return nil }
      bytes.append(value)
      rest.removeFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
