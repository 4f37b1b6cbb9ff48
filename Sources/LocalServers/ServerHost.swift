import DedicatedThreads
public import Foundation

/// The thread that starts and watches all private servers of the process.
///
/// The kernel ends a child when the *thread* that started it ends: so this one lives as long as the process. It also keeps
/// the blocking work of starting servers off the cooperative pool.
@globalActor
public actor ServerHost {
  /// The only one.
  public static let shared = ServerHost()

  // A process that has no thread left at this point can start nothing else either.
  private nonisolated let thread = try! DedicatedThread(name: "servers")

  /// The thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private init() {}
}

/// A directory for one server or one cluster of them.
@ServerHost
public final class ServerDirectory {
  /// Where it is.
  public nonisolated let url: URL
  private let isTemporary: Bool

  /// Makes an empty directory that `remove` removes; also removes those that dead processes have left.
  public init(_ kind: String) throws {
    let manager = FileManager.default
    let parent = manager.temporaryDirectory
    for name in (try? manager.contentsOfDirectory(atPath: parent.path)) ?? [] {
      let parts = name.split(separator: "-")
      guard parts.count == 4, parts[0] == "chancery", parts[1] == "private", let pid = pid_t(parts[2]),
        kill(pid, 0) != 0, errno == ESRCH
      else { continue }
      // Left-overs that cannot be removed hurt nobody: another user's process will do it.
      try? manager.removeItem(at: parent.appending(path: name))
    }
    // A socket's path has at most 107 bytes: the name is short.
    let unique = String(UInt32.random(in: 0 ... .max), radix: 36)
    url = parent.appending(path: "chancery-private-\(getpid())-\(kind)\(unique)")
    isTemporary = true
    try manager.createDirectory(at: url, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
  }

  /// Uses a directory that lasts, and makes it if it is not there.
  public init(lasting url: URL) throws {
    self.url = url
    isTemporary = false
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  /// Removes a directory that was made to be removed.
  public func remove() throws {
    if isTemporary, FileManager.default.fileExists(atPath: url.path) { try FileManager.default.removeItem(at: url) }
  }
}
