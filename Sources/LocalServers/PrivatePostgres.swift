public import Foundation

/// A PostgreSQL server of one's own: it listens on a Unix socket in its directory and dies with this process.
///
/// Connections need no password unless a role is given one and `pg_hba.conf` is told so (see ``Options``).
@ServerHost
public final class PrivatePostgres: Sendable {
  /// How the server is set up.
  public struct Options: Sendable {
    /// Where it keeps its data; nil is a temporary directory. At most 90 bytes long, for the path of its socket.
    public var directory: URL?
    /// Whether a commit waits for the disk. Off by default: tests do not survive a crash of the machine.
    public var fsync = false
    /// `max_connections`.
    public var connections = 100
    /// Whether a role must show its password (SCRAM); the superuser `chancery` has the password `chancery` then.
    public var requiresPassword = false
    /// More settings of `postgresql.conf`.
    public var settings: [String: String] = [:]
    /// Added to the environment of the server.
    public var environment: [String: String] = [:]
    /// Where the server is of which this one is a streaming replica; nil for none. It is copied when this one starts.
    public var primary: String?

    /// The defaults.
    public init() {}
  }

  private let installation: PostgresInstallation
  private let directory: ServerDirectory
  private let options: Options
  private var process: ServerProcess?
  private var isPaused = false

  /// Where the server's output goes.
  public nonisolated let log: URL
  /// Where libpq finds the server, as superuser `chancery` in the database `postgres`.
  public nonisolated let connectionString: String

  private init(_ options: Options) throws {
    installation = try PostgresInstallation()
    self.options = options
    directory = try options.directory.map { try ServerDirectory(lasting: $0) } ?? ServerDirectory("p")
    try installation.adopt(directory.url)
    log = directory.url.appending(path: "log")
    let path = directory.url.path
    connectionString = "host=\(path) user=chancery dbname=postgres"
    guard path.utf8.count <= 90, !path.contains(where: { " ,'\\".contains($0) }) else {
      throw LocalServerError(
        "\(path) cannot hold a socket: a path of at most 90 bytes without spaces, commas, quotes and backslashes can")
    }
    if !FileManager.default.fileExists(atPath: data.path) {
      if let primary = options.primary {
        try installation.copyCluster(of: primary, to: data, log: log)
      } else {
        try installation.createCluster(at: data, log: log)
      }
    }
  }

  /// The name of a server's socket in its directory.
  public nonisolated static let socketName = ".s.PGSQL.5432"
  /// The socket.
  public nonisolated var socketPath: String {
    log.deletingLastPathComponent().appending(path: Self.socketName).path
  }

  /// Where libpq finds the server, as another user.
  public nonisolated func connectionString(user: String) -> String {
    connectionString.replacing("user=chancery", with: "user=\(user)")
  }

  /// The process id of the server; nil if it does not run.
  public var pid: Int32? { process.flatMap { $0.isRunning ? $0.pid : nil } }

  private var data: URL { directory.url.appending(path: "data") }
  private var lockFile: URL { data.appending(path: "postmaster.pid") }

  /// Starts a server, which takes some tenths of a second, and returns when it accepts connections.
  ///
  /// - Throws: ``LocalServerError``, for example if no server is installed.
  public static func start(_ options: Options = Options()) async throws -> PrivatePostgres {
    let server = try PrivatePostgres(options)
    do {
      try server.launch()
      if options.requiresPassword { try server.requirePassword() }
    } catch {
      try await server.remove()
      throw error
    }
    return server
  }

  /// Starts a server, lends it to `body`, and removes it.
  public nonisolated static func with<T: Sendable>(
    _ options: Options = Options(), _ body: (PrivatePostgres) async throws -> T
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

  /// Ends all sessions and the server in order (fast shutdown).
  public func stop() throws {
    try end(with: SIGINT)
  }

  /// Ends the server and its sessions as a crash does: nobody gets a word.
  public func kill9() throws {
    guard let process else { return }
    // Stopped first, so that it starts no process that would be missed: one that outlived it could wait for ever for what
    // the others held, and so could its client.
    try process.freeze()
    for child in process.children { kill(child, SIGKILL) }
    try end(with: SIGKILL)
  }

  /// Starts a server that was stopped or killed; its data are as it left them.
  public func restart() throws {
    if process?.isRunning == true { try stop() }
    try launch()
  }

  /// Freezes the server and its sessions: connections stay open and nothing is answered.
  public func pause() throws {
    guard let process else { return }
    try process.freeze()
    for child in process.children { kill(child, SIGSTOP) }
    isPaused = true
  }

  /// Ends ``pause()``.
  public func resume() {
    guard let process, isPaused else { return }
    for child in process.children { kill(child, SIGCONT) }
    process.signal(SIGCONT)
    isPaused = false
  }

  /// Ends the server and removes its files. Allowed again and after ``stop()``.
  public func remove() async throws {
    // What lasts is put in order; what is removed need not be.
    try end(with: options.directory == nil ? SIGQUIT : SIGINT)
    try directory.remove()
  }

  private func end(with signal: Int32) throws {
    guard let process else { return }
    if signal != SIGKILL { resume() }
    process.signal(signal)
    try process.waitForExit(within: .seconds(30))
    self.process = nil
    isPaused = false
  }

  private func launch() throws {
    var settings = [
      "listen_addresses": "", "unix_socket_directories": directory.url.path, "fsync": options.fsync ? "on" : "off",
      "max_connections": String(options.connections), "dynamic_shared_memory_type": "mmap",
      "shared_buffers": "32MB", "max_wal_size": "256MB", "logging_collector": "off", "timezone": "UTC",
    ]
    settings.merge(options.settings) { $1 }
    let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
    try waitForPredecessor()
    // SIGQUIT makes it end at once and take its children and shared memory along.
    let process = try ServerProcess(
      installation.command("postgres", ["-D", data.path] + arguments), log: log, environment: options.environment,
      deathSignal: SIGQUIT)
    self.process = process
    try waitUntil("the PostgreSQL server accepts connections") {
      guard process.isRunning else {
        let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw LocalServerError("the PostgreSQL server has ended: \(output.suffix(2000))")
      }
      let lines = ((try? String(contentsOf: lockFile, encoding: .utf8)) ?? "").split(separator: "\n")
      return lines.first == "\(process.pid)" && lines.last?.hasPrefix("ready") == true
    }
  }

  /// Waits for a server on the same data whose parent was killed: it is on its way out, with all its sessions.
  private func waitForPredecessor() throws {
    let text = (try? String(contentsOf: lockFile, encoding: .utf8)) ?? ""
    guard let predecessor = text.split(separator: "\n").first.flatMap({ pid_t($0) }) else { return }
    let command = "/proc/\(predecessor)/cmdline"
    try waitUntil("the server that used \(data.path) before has ended") {
      (try? String(contentsOfFile: command, encoding: .utf8))?.contains(data.path) != true
    }
  }

  private func requirePassword() throws {
    let psql = try ServerProcess(
      ["psql", connectionString, "-c", "ALTER ROLE chancery PASSWORD 'chancery'"], log: log)
    guard try psql.waitForExit(within: .seconds(30)) == 0 else {
      throw LocalServerError("cannot set the password: see \(log.path)")
    }
    try Data("local all all scram-sha-256\n".utf8).write(to: data.appending(path: "pg_hba.conf"))
    try restart()
  }
}
