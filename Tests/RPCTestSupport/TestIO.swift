public import RPC
import Synchronization

/// A transport that moves nothing by itself: a test hands in bytes and takes out bytes.
public final class TestIO: ConnectionIO {
  public let executor: any TaskExecutor
  public let peer = PeerInfo(address: "test")
  private let wakes = Mutex(0)

  /// A transport whose handlers run on `executor`.
  public init(executor: any TaskExecutor) { self.executor = executor }

  public func wake() { wakes.withLock { $0 += 1 } }

  /// How often the connection woke its transport since the last call.
  public func takeWakes() -> Int {
    wakes.withLock { wakes in
      defer { wakes = 0 }
      return wakes
    }
  }
}

extension DrivenConnection {
  /// All bytes to be written, as a transport takes them.
  public func drainOutbound() -> [UInt8] {
    _ = demand()
    var all: [UInt8] = []
    var buffer: [UInt8] = []
    repeat {
      buffer.removeAll()
      takeOutbound(&buffer)
      all += buffer
    } while !buffer.isEmpty
    return all
  }

  /// Hands in bytes.
  public func receive(_ bytes: [UInt8]) { receive(bytes.span.bytes) }
}
