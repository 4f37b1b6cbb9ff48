import NIOCore

/// Where a server listens or a client connects.
public enum Endpoint: Sendable, Hashable {
  /// A host name or address, and a port; port 0 lets the system choose when listening.
  case tcp(host: String, port: Int)
  /// The path of a Unix domain socket, 1 to 107 bytes.
  case unix(path: String)

  /// The longest path that the system takes.
  private static let maximumPathBytes = 107

  /// Reads `host:port`, `[v6]:port`, `:port` (loopback) or `unix:/path`.
  public init(parsing text: String) throws(EndpointError) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      guard (1...Self.maximumPathBytes).contains(path.utf8.count), !path.utf8.contains(0) else {
        throw EndpointError(
          text: text, reason: "the path of a Unix socket has 1 to \(Self.maximumPathBytes) bytes, none of them NUL")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
      throw EndpointError(text: text, reason: "expected HOST:PORT with a port from 0 to 65535, or unix:/PATH")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw EndpointError(text: text, reason: "an IPv6 address stands in brackets, as in [::1]:7000")
    }
    guard host.unicodeScalars.allSatisfy({ $0.isASCII && $0 > " " && !"[]/".unicodeScalars.contains($0) }) else {
      throw EndpointError(text: text, reason: "a host name or address has no spaces, slashes or brackets")
    }
    self = .tcp(host: host.isEmpty ? "127.0.0.1" : String(host), port: port)
  }

  private static func port(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    return Int(text).flatMap { (0...65535).contains($0) ? $0 : nil }
  }

  /// Whether only this machine can reach it: a loopback address, `localhost` or a Unix socket.
  public var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp(let host, _): loopbackAddress(host) != nil
    }
  }

  /// Where to listen for `host`, if that is loopback. `localhost` is not looked up, so that nothing can redirect it
  /// (RFC 6761, section 6.3).
  private func loopbackAddress(_ host: String) -> SocketAddress? {
    let literal = host == "localhost" ? "127.0.0.1" : host
    guard let address = try? SocketAddress(ipAddress: literal, port: 0) else { return nil }
    // NIO has normalised the text.
    let text = address.ipAddress ?? ""
    return text.hasPrefix("127.") || text == "::1" ? address : nil
  }

  /// The loopback address to listen at; nil for a Unix socket and for what is not local.
  var loopbackAddress: SocketAddress? {
    guard case .tcp(let host, let port) = self, var address = loopbackAddress(host) else { return nil }
    address.port = port
    return address
  }
}

extension Endpoint: CustomStringConvertible {
  /// The text that `init(parsing:)` reads.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// An address that cannot be read.
public struct EndpointError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The address as given.
  public let text: String
  /// What is wrong with it.
  public let reason: String

  /// Names the address and the remedy.
  public var description: String { "address '\(text)': \(reason)" }
}
