import NIOCore

/// The server: a task for each call, on the thread of the connection.
final class EchoHandler: ChannelInboundHandler {
  typealias InboundIn = Frame

  private let executor: LoopExecutor
  private var writer: FrameWriter?

  init(executor: LoopExecutor) { self.executor = executor }

  func handlerAdded(context: ChannelHandlerContext) { writer = FrameWriter(context) }

  func handlerRemoved(context: ChannelHandlerContext) { writer = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    Task(executorPreference: executor) {
      do {
        let reply = try await echo(try Request.payload(of: frame.payload))
        handler.value.writer?.write { Response.frame(stream: frame.stream, payload: reply, allocator: $0) }
      } catch {
        handler.value.writer?.close("\(error)")
      }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { writer?.close("\(error)") }
}

/// The method, as a service would write it.
private func echo(_ request: ByteBuffer) async throws -> ByteBuffer { request }
