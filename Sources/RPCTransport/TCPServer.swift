import NIOCore
import NIOPosix
import NIOSSL
public import RPC
import Synchronization
public import TimeAndChance

/// Serves RPCs on TCP ports and Unix sockets, until `shutdown`.
///
/// Without TLS it refuses to listen where other machines could reach it. With TLS every client must show a certificate of an
/// authority that is trusted here; handlers find who it is in `ServerContext.peer`.
public final class TCPServer: Sendable {
  /// The bounds of a server.
  public struct Limits: Sendable, Hashable {
    /// The bounds of each connection.
    public var connection = ConnectionLimits()
    /// The most connections at a time, those included that are gone but have handlers that have not returned; further ones
    /// are closed as soon as they are accepted.
    public var maximumConnections = 10_000
    /// How long `shutdown` lets running calls go on.
    public var drainTimeout: Duration = .seconds(30)
    /// How long `shutdown` then waits for handlers to notice that they are cancelled.
    public var cancelTimeout: Duration = .seconds(5)

    /// The defaults.
    public init() {}
  }

  private struct State {
    var listeners: [Listener] = []
    var connections: [ObjectIdentifier: ServerConnection] = [:]
    var isStopping = false
  }

  private let router: RPCRouter
  private let loops: EventLoops
  private let clock: any ServiceClock
  private let limits: Limits
  private let tls: TLSCredentials?
  private let onRefusedPeer: @Sendable (_ address: String, _ reason: String) -> Void
  private let state = Mutex(State())
  /// Opened when the server was stopped, its connections are gone and its handlers have returned.
  private let ended = Latch()

  /// A server of what `router` knows; it does not listen yet. `onRefusedPeer` is told of each client with which there is no
  /// TLS, and why.
  public init(
    router: RPCRouter, loops: EventLoops, clock: any ServiceClock = ContinuousClock(), limits: Limits = Limits(),
    tls: TLSCredentials? = nil,
    onRefusedPeer: @escaping @Sendable (_ address: String, _ reason: String) -> Void = { _, _ in }
  ) {
    self.onRefusedPeer = onRefusedPeer
    self.router = router
    self.loops = loops
    self.clock = clock
    self.limits = limits
    self.tls = tls
  }

  /// How many connections are open, or have handlers that have not returned.
  public var connectionCount: Int { state.withLock { $0.connections.count } }

  /// Listens at `endpoint`; returns where it listens, with the port that the system chose for port 0. May be called for
  /// several endpoints. A Unix socket that a crashed server left behind is replaced, one that is served is not.
  ///
  /// Throws `ListenError` when the endpoint is not local, in use, or not to be had, and after `shutdown`.
  public func listen(at endpoint: Endpoint) async throws(ListenError) -> Endpoint {
    let listener = try await Listener(endpoint: endpoint, loops: loops, mayBeRemote: tls != nil) { try self.accept($0) }
    let isTooLate = state.withLock { state in
      if !state.isStopping { state.listeners.append(listener) }
      return state.isStopping
    }
    if isTooLate {
      await listener.close()
      throw ListenError(code: .stopping, endpoint: endpoint, reason: "the server is stopping; start another")
    }
    return listener.endpoint
  }

  /// Stops listening, answers new calls with `UNAVAILABLE`, and lets running ones end for at most `drainTimeout`; then
  /// answers what still runs with `UNAVAILABLE`, cancels its handlers and waits for them for at most `cancelTimeout`.
  /// Cancelling the task skips the waits. May be called more than once.
  public func shutdown() async {
    let (listeners, connections) = state.withLock { state in
      state.isStopping = true
      defer { state.listeners = [] }
      return (state.listeners, Array(state.connections.values))
    }
    for listener in listeners { await listener.close() }
    if connections.isEmpty { ended.open() }
    for connection in connections { connection.drain() }
    await waitUntilEnded(atMost: limits.drainTimeout)
    for connection in state.withLock({ Array($0.connections.values) }) { connection.close() }
    await waitUntilEnded(atMost: limits.cancelTimeout)
  }

  private func waitUntilEnded(atMost limit: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.ended.wait() }
      group.addTask { [clock] in
        // Cut short only by cancellation, when the wait is over as well.
        try? await clock.sleep(until: clock.now.advanced(by: limit), tolerance: nil)
      }
      await group.next()
      group.cancelAll()
    }
  }

  /// Takes a connection, on its event loop; one that cannot be taken is closed by whoever accepted it.
  private func accept(_ channel: any Channel) throws {
    let handler = ConnectionHandler(channel: channel, loops: loops, clock: clock)
    let id = ObjectIdentifier(handler)
    let connection = ServerConnection(io: handler, router: router, clock: clock, limits: limits.connection) {
      [weak self] in self?.forget(id)
    }
    let isWelcome = state.withLock { state in
      guard !state.isStopping, state.connections.count < limits.maximumConnections else { return false }
      state.connections[id] = connection
      return true
    }
    guard isWelcome else { throw ChannelError.ioOnClosedChannel }
    do {
      let handshake = try handler.drive(connection, over: tls.map { NIOSSLServerHandler(context: $0.serverContext) })
      handshake.whenFailure { [onRefusedPeer] error in onRefusedPeer(handler.peer.address, Self.reason(error)) }
    } catch {
      forget(id)
      throw error
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case NIOSSLError.handshakeFailed(let reason):
      "\(reason)".contains("CERTIFICATE_VERIFY_FAILED")
        ? "its certificate is not from an authority that is trusted here, or has expired"
        : "the handshake failed, perhaps because the client has no TLS or no certificate: \(reason)"
    case ChannelError.eof: "it left during the handshake, or took too long"
    default: "\(error)"
    }
  }

  private func forget(_ id: ObjectIdentifier) {
    let hasEnded = state.withLock { state in
      state.connections[id] = nil
      return state.isStopping && state.connections.isEmpty
    }
    if hasEnded { ended.open() }
  }
}
