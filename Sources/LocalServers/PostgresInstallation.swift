import Foundation

/// The installed PostgreSQL server and how this user may run it.
@ServerHost
struct PostgresInstallation {
  private let binaries: URL
  /// What a command line begins with, since PostgreSQL refuses to run as root.
  private let launcher: [String]
  /// Whether the server's files must belong to another user than this one.
  private let owner: uid_t?

  /// Finds the newest installed version.
  init() throws {
    let manager = FileManager.default
    let root = URL(filePath: "/usr/lib/postgresql")
    let versions = ((try? manager.contentsOfDirectory(atPath: root.path)) ?? []).compactMap { Int($0) }.sorted()
    let onPath = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map {
      URL(filePath: String($0))
    }
    let candidates = versions.reversed().map { root.appending(path: "\($0)/bin") } + onPath
    guard
      let found = candidates.first(where: { manager.isExecutableFile(atPath: $0.appending(path: "initdb").path) })
    else { throw LocalServerError("no PostgreSQL server is installed: apt-get install postgresql-15") }
    binaries = found

    guard geteuid() == 0 else {
      launcher = []
      owner = nil
      return
    }
    // In a user namespace of its own the server believes to be somebody else, and the files need not change owner.
    let namespace = ["unshare", "-U", "--map-user=65534", "--map-group=65534", "--"]
    let log = URL(filePath: "/dev/null")
    if let probe = try? ServerProcess(namespace + ["true"], log: log),
      try probe.waitForExit(within: .seconds(10)) == 0
    {
      launcher = namespace
      owner = nil
    } else {
      launcher = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=QUIT", "--"]
      owner = 65534
    }
  }

  func command(_ program: String, _ arguments: [String]) -> [String] {
    launcher + [binaries.appending(path: program).path] + arguments
  }

  /// Gives a directory to the user as whom the server runs.
  func adopt(_ directory: URL) throws {
    guard let owner else { return }
    guard chown(directory.path, owner, owner) == 0 else {
      throw LocalServerError("cannot give \(directory.path) to user \(owner): errno \(errno)")
    }
  }

  /// Makes a database cluster in a directory that does not exist yet.
  ///
  /// `initdb` takes most of a second, so the first cluster is kept as a template, for as long as the temporary directory
  /// lives, and copied.
  func createCluster(at data: URL, log: URL) throws {
    let manager = FileManager.default
    let key = "\(binaries.path)-\(geteuid())-\(owner ?? 0)".utf8.reduce(UInt32(5381)) { $0 &* 33 ^ UInt32($1) }
    let template = manager.temporaryDirectory.appending(path: "chancery-private-initdb-\(String(key, radix: 36))")
    if !manager.fileExists(atPath: template.path) {
      let staging = try ServerDirectory("i")
      try adopt(staging.url)
      let cluster = staging.url.appending(path: "data")
      let arguments = [
        "-D", cluster.path, "-U", "chancery", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync",
        "--no-instructions",
      ]
      try run(command("initdb", arguments), log: log)
      // Another process may have been faster: then its template is as good.
      if rename(cluster.path, template.path) != 0, !manager.fileExists(atPath: template.path) {
        throw LocalServerError("cannot keep the cluster as \(template.path): errno \(errno)")
      }
      try staging.remove()
    }
    try run(["cp", "-a", "--reflink=auto", template.path, data.path], log: log)
  }

  /// Copies the cluster of a running server into a directory that does not exist yet, and makes it a replica of that.
  func copyCluster(of primary: String, to data: URL, log: URL) throws {
    let arguments = ["-d", primary, "-D", data.path, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    try run(command("pg_basebackup", arguments), log: log)
  }

  private func run(_ arguments: [String], log: URL) throws {
    let process = try ServerProcess(arguments, log: log)
    guard try process.waitForExit(within: .seconds(60)) == 0 else {
      let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
      throw LocalServerError("\(arguments.joined(separator: " ")) failed: \(output.suffix(2000))")
    }
  }
}
