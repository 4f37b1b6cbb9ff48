public import RPC
import Synchronization
public import TimeAndChance

/// A network inside the process: named servers, connections that carry bytes between them, and a hook that decides what
/// happens to each delivery. With a single-threaded executor, a virtual clock and a seeded hook, a run is reproducible.
///
/// Connections behave as TCP does: bytes arrive in order or the connection breaks. On each direction of a connection one
/// delivery is under way at a time; what is sent meanwhile waits at the sender, within its bounds.
public final class MemoryNetwork: Sendable {
  /// The direction of a delivery, by the names of its ends.
  public struct Link: Sendable, Hashable {
    /// The sender's name.
    public var source: String
    /// The receiver's name.
    public var destination: String

    /// Makes a link.
    public init(source: String, destination: String) {
      self.source = source
      self.destination = destination
    }
  }

  /// What happens to bytes on a link.
  public enum Fate: Sendable, Hashable {
    /// They arrive after a delay, in order. A partition that heals is a delay until then; one that does not, a long one.
    case deliver(after: Duration)
    /// The connection breaks, and both ends notice; bytes not delivered yet are lost.
    case reset
  }

  /// Decides the fate of `byteCount` bytes on a link; a byte count of 0 is an attempt to connect. It is called when the
  /// bytes are about to leave, on the network's executor, and must not wait.
  public typealias FaultHook = @Sendable (_ link: Link, _ byteCount: Int) -> Fate

  let executor: any TaskExecutor
  let clock: any ServiceClock
  let limits: ConnectionLimits
  let fate: FaultHook
  private let servers = Mutex<[String: MemoryServer]>([:])

  /// A network whose deliveries and handlers run on `executor`, which must not run a job inside `enqueue`.
  public init(
    executor: any TaskExecutor, clock: any ServiceClock, limits: ConnectionLimits = ConnectionLimits(),
    fate: @escaping FaultHook = { _, _ in .deliver(after: .zero) }
  ) {
    self.executor = executor
    self.clock = clock
    self.limits = limits
    self.fate = fate
  }

  /// Starts a server under `name`, which must be free: never used, or its server drained or stopped. Its handlers run on
  /// `executor`, if not on the network's.
  public func serve(_ router: RPCRouter, as name: String, on executor: (any TaskExecutor)? = nil) -> MemoryServer {
    let server = MemoryServer(name: name, router: router, network: self, executor: executor)
    let previous = servers.withLock { $0.updateValue(server, forKey: name) }
    precondition(previous == nil, "a server named \(name) is running")
    return server
  }

  /// A connector for the client `source` to the server `destination`.
  public func connector(from source: String, to destination: String) -> some ClientConnector {
    MemoryConnector(link: Link(source: source, destination: destination), network: self)
  }

  func server(named name: String) -> MemoryServer? { servers.withLock { $0[name] } }

  func remove(_ server: MemoryServer) {
    servers.withLock { servers in
      if servers[server.name] === server { servers[server.name] = nil }
    }
  }
}

/// Connects over a `MemoryNetwork`.
struct MemoryConnector: ClientConnector {
  let link: MemoryNetwork.Link
  let network: MemoryNetwork

  var target: String { "memory:\(link.destination)" }

  func connect() async throws(RPCError) -> ClientConnection {
    switch network.fate(link, 0) {
    case .reset: throw RPCError(.unavailable, "cannot connect to \(target): the network is down")
    case .deliver(let delay):
      if delay > .zero {
        do {
          try await network.clock.sleep(until: network.clock.now.advanced(by: delay), tolerance: nil)
        } catch {
          throw RPCError(.cancelled, "cancelled while connecting to \(target)")
        }
      }
    }
    let back = MemoryNetwork.Link(source: link.destination, destination: link.source)
    let near = MemoryIO(link: link, network: network)
    let server = network.server(named: link.destination)
    let far = MemoryIO(link: back, network: network, executor: server?.executor)
    guard let served = server?.accept(far) else {
      throw RPCError(.unavailable, "cannot connect to \(target): nothing listens there")
    }
    let connection = ClientConnection(io: near, clock: network.clock, limits: network.limits)
    near.join(connection, to: far)
    far.join(served, to: near)
    return connection
  }
}
