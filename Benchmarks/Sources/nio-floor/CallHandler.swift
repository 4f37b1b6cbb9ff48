import Measurement
import NIOCore

/// The client: who waits for which answer.
final class CallHandler: ChannelInboundHandler {
  typealias InboundIn = Frame

  private var writer: FrameWriter?
  private var waiting: [UInt32: CheckedContinuation<ByteBuffer, any Error>] = [:]
  private var nextStream: UInt32 = 1

  func handlerAdded(context: ChannelHandlerContext) { writer = FrameWriter(context) }

  func handlerRemoved(context: ChannelHandlerContext) { writer = nil }

  /// Makes a call, whose caller waits for the envelope of the answer.
  func send(_ payload: ByteBuffer, _ caller: CheckedContinuation<ByteBuffer, any Error>) {
    guard let writer else {
      caller.resume(throwing: BenchError("nio-floor: the server has closed the connection"))
      return
    }
    let stream = nextStream
    nextStream += 2
    waiting[stream] = caller
    writer.write { Request.frame(stream: stream, payload: payload, allocator: $0) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    waiting.removeValue(forKey: frame.stream)?.resume(returning: frame.payload)
  }

  func channelInactive(context: ChannelHandlerContext) {
    writer = nil
    for continuation in waiting.values {
      continuation.resume(throwing: BenchError("nio-floor: the server has closed the connection"))
    }
    waiting = [:]
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { writer?.close("\(error)") }
}
