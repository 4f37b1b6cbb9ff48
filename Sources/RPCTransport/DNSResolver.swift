import Glibc
import NIOPosix
public import RPC
public import TimeAndChance

/// Looks up a host name with the system's resolver; each of its addresses counts as a server of its own.
public struct DNSResolver: AddressResolver {
  private let host: String
  private let port: Int
  private let connector: @Sendable (Endpoint) -> TCPConnector

  /// See `AddressResolver`.
  public let refreshInterval: Duration?

  /// The servers at `port` of all addresses of `host`, looked up again every `refreshInterval`. With `tls`, each must show a
  /// certificate for `host`. For the rest see `TCPConnector`.
  public init(
    host: String, port: Int, loops: EventLoops, clock: any ServiceClock = ContinuousClock(),
    limits: ConnectionLimits = ConnectionLimits(), connectTimeout: Duration = .seconds(5), tls: TLSCredentials? = nil,
    refreshInterval: Duration = .seconds(30)
  ) {
    self.host = host
    self.port = port
    self.refreshInterval = refreshInterval
    connector = { endpoint in
      TCPConnector(
        endpoint: endpoint, loops: loops, clock: clock, limits: limits, connectTimeout: connectTimeout, tls: tls,
        serverName: host)
    }
  }

  /// The addresses, in the order in which the system prefers them (RFC 6724).
  public func resolve() async throws(RPCError) -> [any ClientConnector] {
    let addresses: Result<[String], RPCError>
    do {
      // The look-up blocks its thread and cannot be interrupted.
      addresses = try await NIOThreadPool.singleton.runIfActive { [host] in Self.addresses(of: host) }
    } catch {
      throw RPCError(.unavailable, "'\(host)' cannot be looked up: \(error)")
    }
    return try addresses.get().map { connector(.tcp(host: $0, port: port)) }
  }

  private static func addresses(of host: String) -> Result<[String], RPCError> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let error = getaddrinfo(host, nil, &hints, &list)
    guard error == 0 else {
      return .failure(RPCError(.unavailable, "'\(host)' cannot be looked up: \(String(cString: gai_strerror(error)))"))
    }
    defer { freeaddrinfo(list) }
    var addresses: [String] = []
    var next = list
    while let info = next?.pointee {
      next = info.ai_next
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let error = getnameinfo(info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
      guard error == 0 else { continue }
      let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if !addresses.contains(address) { addresses.append(address) }
    }
    return .success(addresses)
  }
}
