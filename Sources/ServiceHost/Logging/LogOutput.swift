import Glibc
import Synchronization

/// Where log lines go: a file descriptor, which stays its owner's.
public final class LogOutput: Sendable {
  /// The standard error stream.
  public static let standardError = LogOutput(descriptor: STDERR_FILENO)

  /// The descriptor written to.
  public let descriptor: Int32
  private let writing = Mutex(())

  /// An output to a descriptor that is open for writing.
  public init(descriptor: Int32) { self.descriptor = descriptor }

  /// Whether a person sees it.
  public var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Writes a line with one `write(2)`, so that lines of several processes do not mix in a file or, up to 4 KiB, in a
  /// pipe. Only what a pipe could not take at once needs another. A line that cannot be written is lost: there is
  /// nowhere left to say so.
  func write(_ line: [UInt8]) {
    writing.withLock { _ in
      var rest = line[...]
      while !rest.isEmpty {
        let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written < 0 && errno == EAGAIN {
          // Somebody made the descriptor non-blocking; half a line would spoil the next.
          var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          if poll(&room, 1, -1) < 0 && errno != EINTR { return }
        } else if written < 0 && errno != EINTR {
          return
        }
        rest = rest.dropFirst(max(0, written))
      }
    }
  }
}
