internal import CPosix
import DedicatedThreads
public import Foundation

/// A child process that dies with this one. Lives on the thread of ``ServerHost``.
@ServerHost
public final class ServerProcess {
  /// Its process id.
  public nonisolated let pid: Int32
  private var exitStatus: Int32?

  /// Starts a program; its output is appended to a log file.
  ///
  /// - Parameters:
  ///   - environment: added to the environment of this process.
  ///   - deathSignal: what the kernel sends to it when this process ends.
  /// - Throws: ``LocalServerError`` if the program cannot be executed.
  public init(
    _ arguments: [String], log: URL, environment added: [String: String] = [:], deathSignal: Int32 = SIGKILL
  ) throws {
    let output = open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard output >= 0 else { throw LocalServerError("cannot write \(log.path): errno \(errno)") }
    defer { close(output) }
    var environment = ProcessInfo.processInfo.environment
    environment["LC_ALL"] = "C"
    environment.removeValue(forKey: "NOTIFY_SOCKET")
    environment.merge(added) { $1 }
    var child: pid_t = 0
    let error = withCStrings(arguments) { arguments in
      withCStrings(environment.map { "\($0)=\($1)" }) { environment in
        chancery_spawn(arguments, environment, output, deathSignal, &child)
      }
    }
    guard error == 0 else {
      throw LocalServerError("cannot run \(arguments.joined(separator: " ")): \(String(cString: strerror(error)))")
    }
    pid = child
  }

  /// Whether the process runs; a process that has ended is reaped.
  public var isRunning: Bool {
    if exitStatus != nil { return false }
    var status: Int32 = 0
    if waitpid(pid, &status, WNOHANG) == 0 { return true }
    exitStatus = status
    return false
  }

  /// Sends a signal, unless the process has ended.
  public func signal(_ number: Int32) {
    if isRunning { kill(pid, number) }
  }

  /// Whether the process is stopped, as by SIGSTOP.
  public var isStopped: Bool { isRunning && state == "T" }

  /// Stops the process as SIGSTOP does, and returns when it does nothing any more: the signal alone takes effect later.
  public func freeze() throws {
    signal(SIGSTOP)
    try waitUntil("process \(pid) has stopped") { !isRunning || isStopped }
  }

  /// The letter of the process's state in /proc.
  private var state: Character? {
    let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    // The name of the program, in parentheses, may have spaces.
    return stat?.split(separator: ")").last?.dropFirst().first
  }

  /// Blocks until the process has ended.
  ///
  /// - Returns: what `waitpid` says: 0 for a successful end.
  @discardableResult
  public func waitForExit(within limit: Duration) throws -> Int32 {
    try waitUntil("process \(pid) has ended", within: limit) { !isRunning }
    return exitStatus ?? -1
  }

  /// The direct children of the process.
  public var children: [Int32] {
    let list = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
    return (list ?? "").split(separator: " ").compactMap { pid_t($0) }
  }
}

/// Something went wrong with a private server.
public struct LocalServerError: Error, CustomStringConvertible {
  /// What went wrong.
  public let description: String

  /// An error that says this.
  public init(_ description: String) { self.description = description }
}

/// Blocks until a condition outside this process holds, looking every two milliseconds. Throws ``LocalServerError`` when the
/// limit has passed.
@ServerHost
public func waitUntil(_ what: String, within limit: Duration = .seconds(30), _ condition: () throws -> Bool) throws {
  let deadline = ContinuousClock.now + limit
  while try !condition() {
    guard ContinuousClock.now < deadline else { throw LocalServerError("waited \(limit) in vain until \(what)") }
    poll(nil, 0, 2)
  }
}

private func withCStrings<R>(
  _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R
) -> R {
  let copies = strings.map { strdup($0) } + [nil]
  defer { for copy in copies { free(copy) } }
  return copies.map { UnsafePointer($0) }.withUnsafeBufferPointer { pointers in
    // The array ends with nil, so it is never empty.
    body(pointers.baseAddress!)
  }
}
