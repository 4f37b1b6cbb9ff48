internal import CPostgres
internal import DedicatedThreads
import Synchronization

/// A request to the server to stop what a connection is doing.
///
/// libpq sends it through a connection of its own and waits until the server has acted on it, without a limit. So each
/// request runs on a thread of its own; a server that hangs costs at most ``limit`` threads in the whole process, and
/// beyond that the connections are closed instead.
final class CancelRequest: Sendable {
  private static let limit = 16
  private static let running = Atomic(0)

  private let done = Atomic(false)

  /// Whether the request has ended: then it can no longer hit a later statement.
  var isDone: Bool { done.load(ordering: .acquiring) }

  private init() {}

  /// Begins to cancel what `connection` is doing; `thread` is woken when that is done. Nil if there is no means to.
  static func start(for connection: OpaquePointer, waking thread: DedicatedThread) -> CancelRequest? {
    guard running.add(1, ordering: .relaxed).newValue <= limit else {
      running.subtract(1, ordering: .relaxed)
      return nil
    }
    guard let handle = PQgetCancel(connection) else {
      running.subtract(1, ordering: .relaxed)
      return nil
    }
    // The handle is used by the new thread alone; a PGcancel is made to be used apart from its connection.
    nonisolated(unsafe) let cancel = handle
    let request = CancelRequest()
    do {
      try DetachedThread.start(name: "pg-cancel") {
        // A failure needs no treatment: the statement then ends by itself or the connection is closed after the grace.
        _ = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { PQcancel(cancel, $0.baseAddress, 256) }
        PQfreeCancel(cancel)
        running.subtract(1, ordering: .relaxed)
        request.done.store(true, ordering: .releasing)
        thread.wake()
      }
    } catch {
      PQfreeCancel(handle)
      running.subtract(1, ordering: .relaxed)
      return nil
    }
    return request
  }
}
