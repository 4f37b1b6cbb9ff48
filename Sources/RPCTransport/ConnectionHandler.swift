import NIOCore
import NIOSSL
import NIOTLS
import RPC
import Synchronization
import TimeAndChance

/// Moves bytes between a NIO channel and a connection.
///
/// `@unchecked Sendable`: what is mutable is touched on the channel's event loop alone. NIO calls the handler there, and
/// `wake`, which comes from any thread, hops there.
final class ConnectionHandler: ChannelInboundHandler, ConnectionIO, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  /// How long a closing connection may take to write what is left.
  private static let closeTimeout = TimeAmount.seconds(5)
  /// How long a peer may take to show who it is.
  private static let handshakeTimeout = TimeAmount.seconds(10)
  /// How long the peer then may take to close its end.
  private static let lingerTimeout = TimeAmount.milliseconds(500)
  /// The largest buffer kept by a connection that has had nothing to write for `idleTime`.
  private static let idleCapacity = 16 * 1024
  private static let idleTime = TimeAmount.seconds(1)
  /// The longest timer that is set: NIO's clock overflows on longer ones. An early one does no harm.
  private static let longestTimer = Duration.seconds(3600)

  let executor: any TaskExecutor
  /// Read by any thread; its identity is known after the handshake, and so before the first call.
  var peer: PeerInfo { peerInfo.withLock { $0 } }
  private let peerInfo: Mutex<PeerInfo>
  private let channel: any Channel
  private let clock: any ServiceClock

  /// Nil before `drive` and after the channel was closed.
  private var connection: (any DrivenConnection)?
  private var demand = TransportDemand()
  private var timer: Scheduled<Void>?
  /// Kept until the handshake of TLS has ended.
  private var handshake: EventLoopPromise<Void>?
  private var isWriting = false
  private var isClosing = false
  /// What is exchanged for the bytes of the connection, and what carries them to the channel; kept so that a busy
  /// connection does not allocate.
  private var outbound: [UInt8] = []
  private var buffer = ByteBuffer()
  /// Whether something was written since the buffers were last looked at, and when that is done next.
  private var hasWritten = false
  private var tidying: Scheduled<Void>?

  init(channel: any Channel, loops: EventLoops, clock: any ServiceClock) {
    self.channel = channel
    self.clock = clock
    executor = loops.executor(of: channel.eventLoop)
    peerInfo = Mutex(PeerInfo(address: channel.remoteAddress.map(Self.text) ?? "unknown"))
  }

  /// Joins the connection to the channel, over TLS if there is a handler for it; on the loop, before the first byte is read.
  /// The result comes when the peer has shown who it is, at once without TLS.
  func drive(_ connection: any DrivenConnection, over tls: NIOSSLHandler? = nil) throws -> EventLoopFuture<Void> {
    self.connection = connection
    let handshake = channel.eventLoop.makePromise(of: Void.self)
    if let tls {
      self.handshake = handshake
      try channel.pipeline.syncOperations.addHandler(tls)
      let end = channel.eventLoop.scheduleTask(in: Self.handshakeTimeout) { [channel] in channel.close(promise: nil) }
      handshake.futureResult.whenComplete { _ in end.cancel() }
    } else {
      handshake.succeed()
    }
    try channel.pipeline.syncOperations.addHandler(self)
    // Also fires for a channel that never becomes active.
    channel.closeFuture.assumeIsolated().whenComplete { _ in
      self.closed(RPCError(.unavailable, "the peer closed the connection"))
    }
    return handshake.futureResult
  }

  func wake() { channel.eventLoop.execute { self.serve() } }

  private static func text(_ address: SocketAddress) -> String {
    if case .unixDomainSocket = address { return "unix:\(address.pathname ?? "")" }
    return Endpoint.tcp(host: address.ipAddress ?? "unknown", port: address.port ?? 0).description
  }
}

// MARK: - On the loop

extension ConnectionHandler {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = Self.unwrapInboundIn(data)
    connection?.receive(bytes.readableBytesSpan)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if channel.isWritable { write() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent {
      // Only a pipeline without TLS has no certificate to give.
      let certificate = try? channel.pipeline.syncOperations.nioSSL_peerCertificate()
      peerInfo.withLock { $0.identity = certificate?.identity }
      handshake.take()?.succeed()
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that goes without a farewell has gone all the same.
    if case .uncleanShutdown? = error as? NIOSSLError { return context.close(promise: nil) }
    handshake.take()?.fail(error)
    closed(RPCError(.unavailable, "the connection failed: \(error)"))
    context.close(promise: nil)
  }

  /// Does what the connection wants.
  private func serve() {
    guard let connection else { return }
    let wanted = connection.demand()
    if wanted.reads != demand.reads { setReading(wanted.reads) }
    if wanted.timer != demand.timer { setTimer(wanted.timer) }
    demand = wanted
    write()
    if wanted.closes { close() }
  }

  /// Writes what waits, as long as the channel takes it; a closing one takes everything.
  private func write() {
    // A flush may report that the channel is writable again, inside this function.
    guard let connection, !isWriting else { return }
    isWriting = true
    defer { isWriting = false }
    while channel.isWritable || demand.closes {
      connection.takeOutbound(&outbound)
      if outbound.isEmpty { break }
      buffer.clear()
      buffer.writeBytes(outbound)
      outbound.removeAll(keepingCapacity: true)
      channel.writeAndFlush(buffer, promise: nil)
      hasWritten = true
    }
    if tidying == nil, outbound.capacity > Self.idleCapacity || buffer.capacity > Self.idleCapacity { tidyLater() }
  }

  /// Large buffers are kept while they are in use: to make them anew for every write costs more than the write.
  private func tidyLater() {
    hasWritten = false
    tidying = channel.eventLoop.assumeIsolated().scheduleTask(in: Self.idleTime) {
      self.tidying = nil
      if self.hasWritten { return self.tidyLater() }
      self.outbound = []
      self.buffer = ByteBuffer()
      self.connection?.tidy()
    }
  }

  private func setReading(_ reading: Bool) {
    do {
      try channel.syncOptions?.setOption(.autoRead, value: reading)
    } catch {
      // Only a closed channel refuses, and there is nothing to read from it.
      return
    }
  }

  private func setTimer(_ instant: ContinuousClock.Instant?) {
    timer?.cancel()
    timer = instant.map { instant in
      let delay = min(max(clock.now.duration(to: instant), .zero), Self.longestTimer)
      return channel.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { self.timerFired() }
    }
  }

  private func timerFired() {
    // The timer is used up: the next demand sets another, even for the same instant.
    demand.timer = nil
    connection?.timerFired()
    serve()
  }

  /// Closes once what was written has left and the peer has closed its end, or after a while.
  ///
  /// To close while bytes of the peer are unread would reset the connection, and the peer might lose what was written last.
  private func close() {
    guard !isClosing else { return }
    isClosing = true
    guard channel.isActive else { return channel.close(promise: nil) }
    setReading(true)
    close(within: Self.closeTimeout)
    channel.writeAndFlush(ByteBuffer()).assumeIsolated().whenComplete { _ in
      self.channel.close(mode: .output, promise: nil)
      self.close(within: Self.lingerTimeout)
    }
  }

  private func close(within limit: TimeAmount) {
    let end = channel.eventLoop.scheduleTask(in: limit) { [channel] in channel.close(promise: nil) }
    channel.closeFuture.whenComplete { _ in end.cancel() }
  }

  private func closed(_ error: RPCError) {
    handshake.take()?.fail(ChannelError.eof)
    tidying?.cancel()
    timer?.cancel()
    timer = nil
    connection?.closed(error)
    connection = nil
  }
}
