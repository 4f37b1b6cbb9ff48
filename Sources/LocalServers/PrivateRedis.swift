public import Foundation

/// A Redis server of one's own: it listens on a Unix socket in a temporary directory, keeps nothing on disk, and dies with
/// this process.
@ServerHost
public final class PrivateRedis: Sendable {
  /// How the server is set up.
  public struct Options: Sendable {
    /// The password of the default user; nil wants none.
    public var password: String?
    /// Also listens on this TCP port of 127.0.0.1.
    public var port: UInt16?
    /// More settings of `redis.conf`.
    public var settings: [String: String] = [:]

    /// The defaults.
    public init() {}
  }

  private let directory: ServerDirectory
  private let options: Options
  private var process: ServerProcess?

  /// Where the server's output goes.
  public nonisolated let log: URL
  /// The Unix socket.
  public nonisolated let socketPath: String
  /// Where a client finds the server: `unix:///path`, without a password.
  public nonisolated let connectionString: String

  private init(_ options: Options) throws {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
    guard path.split(separator: ":").contains(where: { access("\($0)/redis-server", X_OK) == 0 }) else {
      throw LocalServerError("no Redis server is installed: apt-get install redis-server")
    }
    self.options = options
    directory = try ServerDirectory("r")
    log = directory.url.appending(path: "log")
    socketPath = directory.url.appending(path: "redis").path
    connectionString = "unix://\(socketPath)"
  }

  /// Starts a server and returns when it accepts connections.
  ///
  /// - Throws: ``LocalServerError``, for example if no server is installed.
  public static func start(_ options: Options = Options()) async throws -> PrivateRedis {
    let server = try PrivateRedis(options)
    do {
      try server.launch()
    } catch {
      try await server.remove()
      throw error
    }
    return server
  }

  /// Starts a server, lends it to `body`, and removes it.
  public nonisolated static func with<T: Sendable>(
    _ options: Options = Options(), _ body: (PrivateRedis) async throws -> T
  ) async throws -> T {
    let server = try await start(options)
    do {
      let value = try await body(server)
      try await server.remove()
      return value
    } catch {
      try await server.remove()
      throw error
    }
  }

  /// The process id of the server; nil if it does not run.
  public var pid: Int32? { process.flatMap { $0.isRunning ? $0.pid : nil } }

  /// Ends the server in order.
  public func stop() throws {
    try end(with: SIGTERM)
  }

  /// Ends the server as a crash does.
  public func kill9() throws {
    try end(with: SIGKILL)
  }

  /// Starts a server that was stopped or killed; it has forgotten everything.
  public func restart() throws {
    try stop()
    try launch()
  }

  /// Freezes the server: connections stay open and nothing is answered.
  public func pause() {
    process?.signal(SIGSTOP)
  }

  /// Ends ``pause()``.
  public func resume() {
    process?.signal(SIGCONT)
  }

  /// Ends the server and removes its files. Allowed again and after ``stop()``.
  public func remove() async throws {
    try end(with: SIGKILL)
    try directory.remove()
  }

  private func end(with signal: Int32) throws {
    guard let process else { return }
    resume()
    process.signal(signal)
    try process.waitForExit(within: .seconds(30))
    self.process = nil
  }

  private func launch() throws {
    var settings = [
      "port": options.port.map { String($0) } ?? "0", "bind": "127.0.0.1", "unixsocket": socketPath, "save": "",
      "appendonly": "no", "dir": directory.url.path, "daemonize": "no", "enable-debug-command": "yes",
    ]
    if let password = options.password { settings["requirepass"] = password }
    settings.merge(options.settings) { $1 }
    let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["--\($0.key)", $0.value] }
    // A socket of a killed server would look as if the new one were ready.
    unlink(socketPath)
    let process = try ServerProcess(["redis-server"] + arguments, log: log)
    self.process = process
    try waitUntil("the Redis server accepts connections") {
      guard process.isRunning else {
        let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw LocalServerError("the Redis server has ended: \(output.suffix(2000))")
      }
      return canConnect()
    }
  }

  private func canConnect() -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array(socketPath.utf8)
    precondition(path.count < MemoryLayout.size(ofValue: address.sun_path), "the socket path is too long")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }
}
