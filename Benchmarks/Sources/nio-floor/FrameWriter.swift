import Foundation
import NIOCore

/// Writes frames to a connection: those of one turn of its event loop in one system call.
final class FrameWriter {
  private let context: ChannelHandlerContext
  private var willFlush = false

  init(_ context: ChannelHandlerContext) { self.context = context }

  func write(_ frame: (ByteBufferAllocator) -> ByteBuffer) {
    context.write(NIOAny(frame(context.channel.allocator)), promise: nil)
    guard !willFlush else { return }
    willFlush = true
    context.eventLoop.assumeIsolated().execute {
      self.willFlush = false
      self.context.flush()
    }
  }

  func close(_ reason: String) {
    FileHandle.standardError.write(Data("nio-floor: \(reason)\n".utf8))
    context.close(promise: nil)
  }
}
