public import NIOCore
public import NIOPosix
import Synchronization

/// A relay of byte streams between a client and a server, that can be told to hold, delay, lose and cut what passes.
///
/// What it relays it does not understand: TLS, the protocols of Postgres and Redis, all are bytes. Bytes of one connection are
/// never reordered or repeated, for no network does that to a stream.
public final class FaultProxy: Sendable {
  /// Which way bytes go.
  public enum Direction: Sendable, CaseIterable {
    case toServer
    case toClient
  }

  /// What happens to bytes and connections.
  public struct Weather: Sendable {
    /// Directions in which nothing gets through until this is over; then it comes late, but comes.
    public var held: Set<Direction> = []
    /// Directions in which what is sent gets lost, and connections look open: half-open ones.
    public var lost: Set<Direction> = []
    /// How long each piece takes, one after another.
    public var delay: Duration = .zero
    /// New connections are closed at once.
    public var refuses = false

    /// Nothing is wrong.
    public init() {}
  }

  /// How often something was hit.
  public struct Hits: Sendable {
    /// Pieces that were held, delayed or lost.
    public var pieces = 0
    /// Connections that were refused, reset or cut.
    public var connections = 0
  }

  private struct State {
    var weather = Weather()
    var hits = Hits()
    var upstream: SocketAddress
    var links: [ObjectIdentifier: Link] = [:]
    /// The next piece in this direction is cut in half, and its connection with it.
    var cut: Direction?
    /// Those who wait for the weather to change.
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// The two ends of a connection.
  private final class Link: Sendable {
    let client: any Channel
    let server: any Channel

    init(_ client: any Channel, _ server: any Channel) {
      self.client = client
      self.server = server
    }

    func close() {
      client.close(promise: nil)
      server.close(promise: nil)
    }
  }

  private typealias Bytes = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  private let state: Mutex<State>
  private let group: MultiThreadedEventLoopGroup
  private let listener: NIOAsyncChannel<any Channel, Never>

  /// Where it listens.
  public var address: SocketAddress { listener.channel.localAddress! }

  /// A proxy that listens, and relays nothing before ``run()``.
  public init(
    listen address: SocketAddress, upstream: SocketAddress, group: MultiThreadedEventLoopGroup
  ) async throws {
    state = Mutex(State(upstream: upstream))
    self.group = group
    listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      // Not read before it is relayed. One that comes when the listener closes never is: it must not be wrapped, for what
      // is wrapped must be used.
      .childChannelOption(.autoRead, value: false)
      .bind(to: address) { $0.eventLoop.makeSucceededFuture($0) }
  }

  /// Begins to read a connection that has come.
  private static func open(_ client: any Channel) async throws -> Bytes {
    let bytes = try await client.eventLoop.submit {
      guard client.isActive else { throw ChannelError.ioOnClosedChannel }
      return try wrap(client)
    }.get()
    // Only a closed channel refuses, and its bytes end by themselves.
    try? await client.setOption(.autoRead, value: true).get()
    return bytes
  }

  /// To be used, whatever happens.
  private static func wrap(_ channel: any Channel) throws -> Bytes {
    // What one side has said must still reach the other when it has closed its half.
    try Bytes(
      wrappingChannelSynchronously: channel,
      configuration: .init(isOutboundHalfClosureEnabled: true))
  }

  /// Relays until the task is cancelled.
  public func run() async {
    // It ends when the listener closes, however that comes about.
    try? await listener.executeThenClose { clients in
      try await withThrowingDiscardingTaskGroup { group in
        for try await client in clients { group.addTask { await self.relay(client) } }
      }
    }
  }

  // MARK: - Telling it

  /// How often something was hit so far.
  public var hits: Hits { state.withLock { $0.hits } }

  /// How many connections pass through it.
  public var connections: Int { state.withLock { $0.links.count } }

  /// Changes the weather.
  public func set(_ weather: Weather) {
    let waiters = state.withLock { state in
      state.weather = weather
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Breaks all connections; returns how many.
  @discardableResult
  public func reset() -> Int {
    let links = state.withLock { state in
      state.hits.connections += state.links.count
      return state.links.values.map { $0 }
    }
    for link in links { link.close() }
    return links.count
  }

  /// Delivers half of the next piece in a direction, and breaks its connection then.
  public func cutNext(_ direction: Direction) { state.withLock { $0.cut = direction } }

  /// Relays new connections to another server, and breaks those there are.
  public func move(to upstream: SocketAddress) {
    state.withLock { $0.upstream = upstream }
    reset()
  }

  // MARK: - Relaying

  private func relay(_ channel: any Channel) async {
    let (refuses, upstream) = state.withLock { state in
      if state.weather.refuses { state.hits.connections += 1 }
      return (state.weather.refuses, state.upstream)
    }
    // A connection that fails is the client's to notice; there is nobody else to tell.
    guard let client = try? await Self.open(channel) else { return }
    try? await client.executeThenClose { fromClient, toClient in
      guard !refuses else { return }
      let server = try await ClientBootstrap(group: group).connect(to: upstream) { channel in
        channel.eventLoop.makeCompletedFuture { try Self.wrap(channel) }
      }
      let link = Link(client.channel, server.channel)
      state.withLock { $0.links[ObjectIdentifier(link)] = link }
      defer { state.withLock { $0.links[ObjectIdentifier(link)] = nil } }
      try await server.executeThenClose { fromServer, toServer in
        await withTaskGroup(of: Void.self) { group in
          group.addTask { await self.pump(fromClient, toServer, .toServer, link) }
          group.addTask { await self.pump(fromServer, toClient, .toClient, link) }
        }
      }
    }
  }

  private func pump(
    _ input: NIOAsyncChannelInboundStream<ByteBuffer>, _ output: NIOAsyncChannelOutboundWriter<ByteBuffer>,
    _ direction: Direction, _ link: Link
  ) async {
    do {
      for try await piece in input {
        switch await passage(direction) {
        case .whole: try await output.write(piece)
        case .half:
          try await output.write(piece.getSlice(at: piece.readerIndex, length: piece.readableBytes / 2)!)
          link.close()
        case .none: break
        }
      }
      output.finish()
    } catch {
      // One half is broken: so is the other.
      link.close()
    }
  }

  private enum Passage {
    case whole, half, none
  }

  /// Waits until a piece may pass; says what of it does.
  private func passage(_ direction: Direction) async -> Passage {
    var wasHit = false
    while state.withLock({ $0.weather.held.contains(direction) }) {
      if !wasHit { state.withLock { $0.hits.pieces += 1 } }
      wasHit = true
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          guard state.weather.held.contains(direction) else { return true }
          state.waiters.append(continuation)
          return false
        }
        if isOver { continuation.resume() }
      }
    }
    let (delay, passage) = state.withLock { state -> (Duration, Passage) in
      if state.cut == direction {
        state.cut = nil
        state.hits.connections += 1
        return (.zero, .half)
      }
      let isLost = state.weather.lost.contains(direction)
      if isLost || state.weather.delay > .zero { state.hits.pieces += 1 }
      return (state.weather.delay, isLost ? .none : .whole)
    }
    // Cut short only when the proxy stops.
    if delay > .zero { try? await Task.sleep(for: delay) }
    return passage
  }
}
