internal import CPosix

/// A thread for one blocking call that may never return, such as a cancel request to a server that hangs.
///
/// Whoever starts such threads bounds their number and does not wait for them without a limit.
package enum DetachedThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a thread of its own, with all signals blocked.
  package static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(DedicatedThreadError) {
    let context = Unmanaged.passRetained(Body(run: body))
    let error = chancery_thread_start(
      name, { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() }, context.toOpaque())
    if error != 0 {
      context.release()
      throw DedicatedThreadError("thread \(name)", errno: error)
    }
  }
}

/// Questions about a socket that are answered at once.
package enum SocketState {
  /// Whether there is something to read, an error or a hang-up.
  package static func isReadable(_ descriptor: Int32) -> Bool { chancery_readable(descriptor) != 0 }

  /// The pending error of the socket, 0 if there is none.
  package static func pendingError(_ descriptor: Int32) -> Int32 { chancery_socket_error(descriptor) }
}
