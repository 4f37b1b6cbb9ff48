import RPC
import Synchronization
public import TimeAndChance

/// A server on a `MemoryNetwork`.
public final class MemoryServer: Sendable {
  private struct State {
    var isStopping = false
    var lastNumber = 0
    /// By number, not by identity: whatever is done to all is done in the same order in every run.
    var connections: [Int: (io: MemoryIO, connection: ServerConnection)] = [:]
  }

  /// The name by which clients reach it.
  public let name: String
  /// Opened when the server was drained or stopped, its connections are gone and its handlers have returned.
  public let ended = Latch()
  let executor: (any TaskExecutor)?
  private let router: RPCRouter
  private let network: MemoryNetwork
  private let state = Mutex(State())

  init(name: String, router: RPCRouter, network: MemoryNetwork, executor: (any TaskExecutor)?) {
    self.name = name
    self.executor = executor
    self.router = router
    self.network = network
  }

  /// Takes no new connections and lets the running calls end; new calls on old connections are answered `UNAVAILABLE`.
  public func drain() {
    for (_, connection) in stopAccepting() { connection.drain() }
  }

  /// Stops at once, as a crash does: the connections break, the handlers are cancelled.
  public func stop() {
    for (io, _) in stopAccepting() { io.breakConnection("the server \(name) is gone") }
  }

  private func stopAccepting() -> [(io: MemoryIO, connection: ServerConnection)] {
    network.remove(self)
    let (connections, hasEnded) = state.withLock { state in
      state.isStopping = true
      return (state.connections.sorted { $0.key < $1.key }.map(\.value), state.connections.isEmpty)
    }
    if hasEnded { ended.open() }
    return connections
  }

  /// Takes a connection; nil when the server is stopping.
  func accept(_ io: MemoryIO) -> ServerConnection? {
    state.withLock { state in
      guard !state.isStopping else { return nil }
      state.lastNumber += 1
      let number = state.lastNumber
      let connection = ServerConnection(io: io, router: router, clock: network.clock, limits: network.limits) {
        [weak self] in self?.forget(number)
      }
      state.connections[number] = (io, connection)
      return connection
    }
  }

  private func forget(_ number: Int) {
    let hasEnded = state.withLock { state in
      state.connections[number] = nil
      return state.isStopping && state.connections.isEmpty
    }
    if hasEnded { ended.open() }
  }
}
