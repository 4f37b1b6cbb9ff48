package import RPC
import Synchronization

/// A transport that moves nothing by itself: a test hands in bytes and takes out bytes.
package final class TestIO: ConnectionIO {
  package let executor: any TaskExecutor
  package let peer = PeerInfo(address: "test")
  private let wakes = Mutex(0)

  /// A transport whose handlers run on `executor`.
  package init(executor: any TaskExecutor) { self.executor = executor }

  package func wake() { wakes.withLock { $0 += 1 } }

  /// How often the connection woke its transport since the last call.
  package func takeWakes() -> Int {
    wakes.withLock { wakes in
      defer { wakes = 0 }
      return wakes
    }
  }
}

extension DrivenConnection {
  /// All bytes to be written, as a transport takes them.
  package func drainOutbound() -> [UInt8] {
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
  package func receive(_ bytes: [UInt8]) { receive(bytes.span.bytes) }
}
