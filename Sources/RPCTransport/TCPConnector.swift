import NIOCore
import NIOPosix
import NIOSSL
public import RPC
import Synchronization
public import TimeAndChance

/// Connects over TCP or a Unix socket.
public struct TCPConnector: ClientConnector {
  private let endpoint: Endpoint
  private let loops: EventLoops
  private let clock: any ServiceClock
  private let limits: ConnectionLimits
  private let connectTimeout: Duration
  private let tls: TLSCredentials?
  private let serverName: String?

  /// A connector to `endpoint` that gives up after `connectTimeout`, the look-up of the host name included. With `tls`, the
  /// server must show a certificate for `serverName`, or else for the host name or address of the endpoint, `localhost` for a
  /// Unix socket.
  public init(
    endpoint: Endpoint, loops: EventLoops, clock: any ServiceClock = ContinuousClock(),
    limits: ConnectionLimits = ConnectionLimits(), connectTimeout: Duration = .seconds(5), tls: TLSCredentials? = nil,
    serverName: String? = nil
  ) {
    self.endpoint = endpoint
    self.loops = loops
    self.clock = clock
    self.limits = limits
    self.connectTimeout = connectTimeout
    self.tls = tls
    self.serverName = serverName
  }

  /// The address.
  public var target: String { endpoint.description }

  /// See `ClientConnector`. When the task is cancelled, the attempt goes on by itself until its timeout, and what it may
  /// still yield is closed: a look-up cannot be interrupted.
  public func connect() async throws(RPCError) -> ClientConnection {
    let race = Race()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        race.wait(continuation)
        Task {
          // What comes too late is closed as a part of the attempt, for which the event loops wait.
          let attempt: Void? = await loops.dial { race.settle(await dial()) }
          if attempt == nil { race.settle(.failure(RPCError(.unavailable, "the event loops are shut down"))) }
        }
      }
    } onCancel: {
      race.settle(.failure(RPCError(.cancelled, "cancelled while connecting to \(endpoint)")))
    }
    return try result.get()
  }

  private func dial() async -> Result<ClientConnection, RPCError> {
    let bootstrap = ClientBootstrap(group: loops.group).connectTimeout(TimeAmount(connectTimeout))
    let initialize: @Sendable (any Channel) -> EventLoopFuture<Dialed> = { channel in
      channel.eventLoop.makeCompletedFuture {
        let handler = ConnectionHandler(channel: channel, loops: loops, clock: clock)
        let connection = ClientConnection(io: handler, clock: clock, limits: limits)
        let security = try tls.map { try NIOSSLClientHandler(context: $0.clientContext, serverHostname: hostName) }
        return Dialed(connection: connection, handshake: try handler.drive(connection, over: security))
      }
    }
    do {
      let dialed: Dialed
      switch endpoint {
      case .tcp(let host, let port):
        let tuned = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
          .channelOption(.socketOption(.so_keepalive), value: 1)
        dialed = try await tuned.connect(host: host, port: port, channelInitializer: initialize)
      case .unix(let path):
        dialed = try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initialize)
      }
      do {
        try await dialed.handshake.get()
      } catch {
        return .failure(RPCError(.unavailable, "no TLS with \(endpoint): \(Self.tlsReason(error))"))
      }
      return .success(dialed.connection)
    } catch {
      return .failure(RPCError(.unavailable, "cannot connect to \(endpoint): \(Self.reason(error))"))
    }
  }

  /// A connection whose handshake may be under way.
  private struct Dialed: Sendable {
    let connection: ClientConnection
    let handshake: EventLoopFuture<Void>
  }

  /// The name that the server's certificate must have; nil for an address, which is compared with that of the connection.
  private var hostName: String? {
    guard case .tcp(let address, _) = endpoint else { return serverName ?? "localhost" }
    let host = serverName ?? address
    return (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
  }

  private static func tlsReason(_ error: any Error) -> String {
    switch error {
    case let error as NIOSSLExtraError where error == .failedToValidateHostname:
      "its certificate is for another name or address"
    case NIOSSLError.unableToValidateCertificate: "its certificate is for another name or address"
    case NIOSSLError.handshakeFailed(let reason):
      "\(reason)".contains("CERTIFICATE_VERIFY_FAILED")
        ? "its certificate is not from an authority that is trusted here, or has expired"
        : "the handshake failed, perhaps because the server has no TLS: \(reason)"
    case ChannelError.eof: "it closed the connection during the handshake; does it have TLS?"
    default: "\(error)"
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { reason($0.error) } ?? "the name '\(error.host)' does not resolve"
    case let error as IOError where error.errnoCode == ECONNREFUSED: "nothing listens there"
    case let error as IOError where error.errnoCode == ENOENT: "there is no such socket"
    case let error as IOError where error.errnoCode == EACCES: "permission denied"
    case let error as IOError where error.errnoCode == EMFILE: "this process has too many open files"
    case ChannelError.connectTimeout: "no answer in time"
    default: "\(error)"
    }
  }
}

/// The end of an attempt to connect, or of the task that wants it, whichever comes first.
private final class Race: Sendable {
  typealias Outcome = Result<ClientConnection, RPCError>

  private struct State {
    var continuation: CheckedContinuation<Outcome, Never>?
    var outcome: Outcome?
  }

  private let state = Mutex(State())

  func wait(_ continuation: CheckedContinuation<Outcome, Never>) {
    let outcome = state.withLock { state in
      if state.outcome == nil { state.continuation = continuation }
      return state.outcome
    }
    if let outcome { continuation.resume(returning: outcome) }
  }

  func settle(_ outcome: Outcome) {
    let (isFirst, continuation) = state.withLock { state in
      guard state.outcome == nil else { return (false, nil as CheckedContinuation<Outcome, Never>?) }
      state.outcome = outcome
      return (true, state.continuation.take())
    }
    continuation?.resume(returning: outcome)
    if !isFirst, case .success(let late) = outcome { late.close() }
  }
}
