import Glibc
public import NIOCore
import NIOPosix

/// A socket that accepts connections, of whatever protocol.
public struct Listener: Sendable {
  /// How many connections may wait to be accepted; the system bounds it further.
  private static let backlog: Int32 = 1024

  /// Where it listens, with the port that the system chose for port 0.
  public let endpoint: Endpoint
  private let channel: any Channel

  /// Listens at `endpoint`; `accept` is called for each connection on its event loop, and closes it by throwing. Throws
  /// `ListenError` when the endpoint is in use or not to be had, or when other machines could reach it and must not.
  public init(
    endpoint: Endpoint, loops: EventLoops, mayBeRemote: Bool, accept: @escaping @Sendable (any Channel) throws -> Void
  ) async throws(ListenError) {
    let bootstrap = ServerBootstrap(group: loops.group)
      .serverChannelOption(.backlog, value: Self.backlog)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try accept(channel) }
      }
    do {
      switch endpoint {
      case .tcp(let host, let port):
        let tuned =
          bootstrap
          .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
          .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
          .childChannelOption(.socketOption(.so_keepalive), value: 1)
        if let address = endpoint.loopbackAddress {
          channel = try await tuned.bind(to: address).get()
        } else if mayBeRemote {
          channel = try await tuned.bind(host: host, port: port).get()
        } else {
          throw ListenError(
            code: .notLocal, endpoint: endpoint,
            reason: "other machines could reach it and the service has no TLS; "
              + "use 127.0.0.1, [::1] or unix:/PATH, or give it certificates")
        }
      case .unix(let path):
        channel = try await Self.bind(bootstrap, path, loops)
      }
    } catch let error as ListenError {
      throw error
    } catch let error as IOError where error.errnoCode == EADDRINUSE {
      throw ListenError(
        code: .addressInUse, endpoint: endpoint, reason: "the address is in use; choose another or stop its user")
    } catch {
      throw ListenError(code: .refused, endpoint: endpoint, reason: "\(error)")
    }
    self.endpoint =
      if case .tcp(let host, _) = endpoint, let port = channel.localAddress?.port {
        .tcp(host: host, port: port)
      } else {
        endpoint
      }
  }

  /// Stops listening; connections that were accepted go on.
  public func close() async {
    // A listener that fails to close is closed already.
    try? await channel.close()
    if case .unix(let path) = endpoint { unlink(path) }
  }

  /// A socket file outlives its server. One that nobody serves any more is replaced.
  private static func bind(
    _ bootstrap: ServerBootstrap, _ path: String, _ loops: EventLoops
  ) async throws -> any Channel {
    do {
      return try await bootstrap.bind(unixDomainSocketPath: path).get()
    } catch let error as IOError where error.errnoCode == EADDRINUSE {
      guard await isAbandoned(path, loops) else { throw error }
      return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
    }
  }

  private static func isAbandoned(_ path: String, _ loops: EventLoops) async -> Bool {
    do {
      try await ClientBootstrap(group: loops.group).connect(unixDomainSocketPath: path).get().close()
      return false
    } catch let error as IOError {
      return error.errnoCode == ECONNREFUSED
    } catch {
      return false
    }
  }
}
