import NIOCore
import NIOHTTP1
import RPCTransport
import Synchronization

/// The admin port of a process: HTTP/1.1, from before its service is opened until after it is closed.
///
/// Bounded: so many connections at a time, each of which is closed when it is silent, when its request is too long, and when
/// that takes too long to come or its answer to go. What a request carries besides its first line is not looked at.
final class AdminServer: Sendable {
  /// The bounds of a server.
  struct Limits: Sendable {
    /// The most connections; further ones are closed at once.
    var connections = 64
    /// The most bytes of a request.
    var requestBytes = 16 * 1024
    /// How long a request may take, from its first byte until it is answered.
    var requestTime = TimeAmount.seconds(10)
    /// How long a connection may be silent; longer than the usual interval between two scrapes.
    var idleTime = TimeAmount.seconds(90)
  }

  /// Where it listens, with the port that the system chose for port 0.
  let address: Endpoint
  private let listener: Listener

  /// Listens at `endpoint`, and answers with what `answer` says, which is called on an event loop. Throws `AdminPortError`.
  init(
    at endpoint: Endpoint, on loops: EventLoops, limits: Limits = Limits(),
    _ answer: @escaping @Sendable (AdminRequest) -> AdminResponse
  ) async throws(AdminPortError) {
    let connections = ConnectionCount()
    do {
      listener = try await Listener(endpoint: endpoint, loops: loops, mayBeRemote: true) { channel in
        guard connections.enter(atMost: limits.connections) else { throw ChannelError.ioOnClosedChannel }
        channel.closeFuture.whenComplete { _ in connections.leave() }
        let pipeline = channel.pipeline.syncOperations
        let requestGuard = RequestGuard(channel, limits)
        try pipeline.addHandler(requestGuard)
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.addHandler(AdminHandler(requestGuard, answer))
      }
    } catch {
      throw AdminPortError(cause: error)
    }
    address = listener.endpoint
  }

  /// Stops listening. Connections that are open end with the threads.
  func close() async { await listener.close() }
}

/// The admin port cannot be opened.
struct AdminPortError: Error, CustomStringConvertible {
  let cause: ListenError

  /// Names the option, the address and the remedy.
  var description: String { "the admin port (--admin-listen): \(cause)" }
}

/// How many connections are open.
private final class ConnectionCount: Sendable {
  private let count = Mutex(0)

  func enter(atMost limit: Int) -> Bool {
    count.withLock { count in
      guard count < limit else { return false }
      count += 1
      return true
    }
  }

  func leave() { count.withLock { $0 -= 1 } }
}

/// Closes a connection that is silent, or whose request is beyond the bounds. Stands before the handlers that read HTTP.
private final class RequestGuard: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let channel: any Channel
  private let limits: AdminServer.Limits
  /// How much has come since the last answer.
  private var bytes = 0
  private var end: Scheduled<Void>?

  init(_ channel: any Channel, _ limits: AdminServer.Limits) {
    self.channel = channel
    self.limits = limits
    close(in: limits.idleTime)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if bytes == 0 { close(in: limits.requestTime) }
    bytes += Self.unwrapInboundIn(data).readableBytes
    guard bytes <= limits.requestBytes else { return context.close(promise: nil) }
    context.fireChannelRead(data)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end?.cancel()
    context.fireChannelInactive()
  }

  /// A request was answered: the next may come.
  func wasAnswered() {
    bytes = 0
    if channel.isActive { close(in: limits.idleTime) }
  }

  /// Closes the connection after a while, in the place of what was planned before.
  private func close(in time: TimeAmount) {
    end?.cancel()
    end = channel.eventLoop.scheduleTask(in: time) { [channel] in channel.close(promise: nil) }
  }
}

/// Answers the requests of one connection, one after another.
private final class AdminHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let requestGuard: RequestGuard
  private let answer: @Sendable (AdminRequest) -> AdminResponse
  private var head: HTTPRequestHead?

  init(_ requestGuard: RequestGuard, _ answer: @escaping @Sendable (AdminRequest) -> AdminResponse) {
    self.requestGuard = requestGuard
    self.answer = answer
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch Self.unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head = head.take() else { return }
      respond(to: head, context)
    }
  }

  private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let response = answer(AdminRequest(method: head.method.rawValue, uri: head.uri))
    let body = ByteBuffer(string: response.body)
    var headers: HTTPHeaders = [
      "content-type": response.contentType, "content-length": "\(body.readableBytes)", "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    ]
    if response.status == 405 { headers.add(name: "allow", value: "GET, HEAD") }
    if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
    let answer = HTTPResponseHead(
      version: head.version, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
    context.write(Self.wrapOutboundOut(.head(answer)), promise: nil)
    if head.method != .HEAD { context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
    context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { [requestGuard] _ in
      requestGuard.wasAnswered()
      if !head.isKeepAlive { context.close(promise: nil) }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
