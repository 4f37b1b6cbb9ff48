internal import CPosix
internal import Glibc

/// Wakes the thread that waits for keys, from any other thread.
public final class Waker: Sendable {
  /// What a wait ended with.
  public struct Event: Sendable, Hashable {
    /// There is something to read, or the terminal is gone.
    public var hasInput: Bool
    /// It was woken, by a signal or by another thread.
    public var wasWoken: Bool
  }

  /// What signals ask for.
  public struct Signals: OptionSet, Sendable {
    /// The bits of CPosix.
    public let rawValue: Int32

    /// From bits of CPosix.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The window has another size.
    public static let resized = Signals(rawValue: Int32(CHANCERY_SIGNAL_RESIZED))
    /// Ctrl-Z.
    public static let suspend = Signals(rawValue: Int32(CHANCERY_SIGNAL_SUSPEND))
    /// The process goes on after it was stopped.
    public static let continued = Signals(rawValue: Int32(CHANCERY_SIGNAL_CONTINUED))
    /// Ctrl-C.
    public static let interrupt = Signals(rawValue: Int32(CHANCERY_SIGNAL_INTERRUPT))
    /// To end: SIGTERM, or the terminal is gone.
    public static let end = Signals(rawValue: Int32(CHANCERY_SIGNAL_END))
  }

  let descriptor: Int32

  /// A waker. Throws the system's words when there are no descriptors left.
  public init() throws(Screen.Unavailable) {
    descriptor = chancery_wake_open()
    guard descriptor >= 0 else { throw Screen.Unavailable(description: String(cString: strerror(errno))) }
  }

  deinit { close(descriptor) }

  /// Ends the wait that is under way, or the next one.
  public func wake() { chancery_wake_signal(descriptor) }

  /// Waits for a key, a wake or a signal, at most for `limit`.
  public func wait(atMost limit: Duration) -> Event {
    let limit = max(.zero, limit)
    let nanoseconds = limit.components.seconds * 1_000_000_000 + limit.components.attoseconds / 1_000_000_000
    let mask = chancery_wait(STDIN_FILENO, Int16(POLLIN), descriptor, nanoseconds)
    precondition(mask >= 0, "waiting for keys failed: \(String(cString: strerror(errno)))")
    if mask & 2 != 0 { chancery_wake_clear(descriptor) }
    return Event(hasInput: mask & 1 != 0, wasWoken: mask & 2 != 0)
  }

  /// Whether there is something to read, or the terminal is gone.
  public var hasInput: Bool { chancery_readable(STDIN_FILENO) != 0 }

  /// The signals that came since the last look.
  public func signals() -> Signals { Signals(rawValue: chancery_terminal_signals()) }
}
