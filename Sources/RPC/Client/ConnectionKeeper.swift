import Synchronization
import TimeAndChance

/// Keeps one connection, to the first of its addresses that answers, and makes it anew when it is lost. Pauses between
/// attempts follow `Backoff`, from its start once a connection has proved itself: a frame has arrived on it.
final class ConnectionKeeper: Sendable {
  enum Phase: Sendable {
    case connecting
    case ready(ClientConnection)
    case pausing(RPCError)
  }

  private let resolver: any AddressResolver
  private let clock: any ServiceClock
  private let random: any RandomSource
  private let backoff: Backoff
  private let onChange: @Sendable (ConnectionKeeper, Phase) -> Void
  /// Connections that take no more calls and still have some.
  private let retired = Mutex<[ClientConnection]>([])
  /// Opened when the address is not wanted any more: no new connection, and calls on the last one may end.
  let stop = Latch()

  init(
    resolver: any AddressResolver, clock: any ServiceClock, random: any RandomSource, backoff: Backoff,
    onChange: @escaping @Sendable (ConnectionKeeper, Phase) -> Void
  ) {
    self.resolver = resolver
    self.clock = clock
    self.random = random
    self.backoff = backoff
    self.onChange = onChange
  }

  /// Keeps the connection until the task is cancelled, which closes it, or `stop` opens and its last call has ended.
  func run() async {
    // A latch's work ends in cancellation, which is what is asked for here.
    try? await stop.cancelling { await self.keepConnected() }
    for connection in retired.withLock({ $0 }) {
      await connection.ended.wait()
      connection.close()
    }
  }

  private func keepConnected() async {
    var attempt = 0
    while !Task.isCancelled {
      do throws(RPCError) {
        if try await serve() { attempt = 0 }
      } catch {
        if Task.isCancelled { break }
        onChange(self, .pausing(error))
        // Cut short only by cancellation, which ends the loop.
        try? await clock.sleep(for: backoff.delay(attempt: attempt, random: random))
        attempt += 1
        onChange(self, .connecting)
      }
    }
  }

  /// Connects and offers the connection until it takes no more calls. Returns whether it has proved itself; throws when
  /// it has not, as when it could not be made: a peer that accepts and hangs up must not be called in a tight loop.
  private func serve() async throws(RPCError) -> Bool {
    let connection = try await connect()
    onChange(self, .ready(connection))
    await connection.retired.wait()
    retire(connection)
    if Task.isCancelled { return true }
    let isExhausted = !connection.isClosed
    onChange(self, .connecting)
    guard isExhausted || connection.hasReceived else {
      throw RPCError(.unavailable, "\(connection.peer.address) closed the connection before it answered anything")
    }
    return true
  }

  /// Lets the last calls of a connection end.
  private func retire(_ connection: ClientConnection) {
    connection.closeWhenIdle()
    retired.withLock { retired in
      retired.removeAll { $0.isClosed }
      if !connection.isClosed { retired.append(connection) }
    }
  }

  private func connect() async throws(RPCError) -> ClientConnection {
    var failures: [String] = []
    for connector in try await resolver.resolve() where !Task.isCancelled {
      do throws(RPCError) {
        return try await connector.connect()
      } catch {
        failures.append(error.message)
      }
    }
    throw RPCError(.unavailable, failures.joined(separator: "; "))
  }
}
