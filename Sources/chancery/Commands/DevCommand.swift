import ArgumentParser
import Foundation
import LocalServers
import RPCTransport
import ServiceHost

struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev", abstract: "Run a whole private cluster on this machine until Ctrl-C.",
    discussion: """
      Postgres and Redis listen on Unix sockets, the services on loopback ports that the other commands expect. Records, \
      keys and signatures are kept in the data directory, where cluster.json says who runs where. What dies is started \
      again. Example: chancery dev --signers 2
      """)

  @Option(help: "Where everything is kept.", completion: .directory)
  var dataDirectory = ClusterDescription.defaultDirectory
  @Option(help: "postgres (and Redis), or memory, which needs neither and keeps nothing.") var store = Store.postgres
  @Option(parsing: .unconditional, help: "How many signers; 0 to start them with 'chancery serve signer'.")
  var signers = 1
  @Option(parsing: .unconditional, help: "How many coordinators.") var coordinators = 1
  @Option(parsing: .unconditional, help: "How many KeyKeepers.") var keykeepers = 1
  @Option(parsing: .unconditional, help: "The first of the ports that the services listen on; 0 takes free ones.")
  var port = 7420

  enum Store: String, CaseIterable, ExpressibleByArgument {
    case postgres
    case memory
  }

  func validate() throws {
    guard (0...64).contains(signers) else { throw ValidationError("--signers \(signers) is not between 0 and 64") }
    guard (1...8).contains(coordinators) else {
      throw ValidationError("--coordinators \(coordinators) is not between 1 and 8")
    }
    guard (1...8).contains(keykeepers) else {
      throw ValidationError("--keykeepers \(keykeepers) is not between 1 and 8")
    }
    guard port == 0 || (1024...64_000).contains(port) else {
      throw ValidationError("--port \(port) is neither 0 nor between 1024 and 64000")
    }
    if store == .memory, coordinators > 1 || keykeepers > 1 || port == 0 {
      throw ValidationError("several coordinators or KeyKeepers, and --port 0, need --store postgres")
    }
  }

  func run() async throws {
    // What comes while the cluster starts is heeded once it runs.
    let interruption = Interruption()
    switch store {
    case .postgres: try await runOnPostgres(until: interruption)
    case .memory: try await runInMemory(until: interruption)
    }
  }

  private func runInMemory(until interruption: Interruption) async throws {
    try await MemoryCluster.with(port: port, signers: signers) {
      StandardError.write(
        """
        chancery is running IN MEMORY: records, keys and signatures are LOST when it stops. In another terminal:
          chancery keys generate --count 100
          chancery records generate --count 100000
          chancery sign
        Ctrl-C stops it.

        """)
      await interruption.wait()
      StandardError.write("stopping: everything is forgotten\n")
    }
  }

  private func runOnPostgres(until interruption: Interruption) async throws {
    var shape = LocalCluster.Shape()
    shape.signers = signers
    shape.coordinators = coordinators
    shape.directory = URL(filePath: dataDirectory).absoluteURL.standardizedFileURL
    shape.keyKeepers = keykeepers
    shape.port = port
    let lock = try DirectoryLock(dataDirectory)
    defer { lock.release() }
    try await LocalCluster.with(shape) { cluster in
      let addresses = await [
        "CHANCERY_COORDINATOR": cluster.address(.coordinator), "CHANCERY_KEYKEEPER": cluster.address(.keykeeper),
        "CHANCERY_LOGGER": cluster.address(.logger),
      ]
      var variables = port == 7420 ? [:] : addresses
      // Commands find the certificates of a cluster in the default directory by themselves.
      if dataDirectory != ClusterDescription.defaultDirectory, let tls = await cluster.tls {
        variables["CHANCERY_TLS_CERT"] = tls.certificate
        variables["CHANCERY_TLS_KEY"] = tls.key
        variables["CHANCERY_TLS_CA"] = tls.authority
      }
      let exports = variables.sorted { $0.key < $1.key }.map { "  export \($0)='\($1)'\n" }.joined()
      StandardError.write(
        """
        chancery is running. In another terminal:
        \(exports)  chancery keys generate --count 100
          chancery records generate --count 100000
          chancery sign
          psql '\(cluster.databaseURL)'
        Logs are in \(cluster.logDirectory.path). Ctrl-C stops it.

        """)
      await interruption.wait()
      StandardError.write("stopping\n")
    }
  }
}

/// Keeps a second cluster out of a data directory.
struct DirectoryLock {
  private let descriptor: Int32

  init(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw CommandFailure(
        code: "unwritable_directory", path: path, cannotBe: "made", error,
        hint: "name another directory with --data-directory")
    }
    descriptor = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CommandFailure(
        code: "unwritable_directory", message: "\(path)/lock cannot be opened: \(String(cString: strerror(errno)))",
        hint: "name another directory with --data-directory")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw CommandFailure(
        code: "directory_in_use", message: "\(path) is in use by another 'chancery dev'",
        hint: "stop it, or name another directory with --data-directory")
    }
  }

  func release() { close(descriptor) }
}
