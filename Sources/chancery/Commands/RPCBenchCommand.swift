import ArgumentParser
import Foundation
import LocalServers
import RPC
import RPCTransport
import ServiceHost
import TimeAndChance

extension BenchCommand {
  struct RPC: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rpc", abstract: "Measure calls between two processes.",
      discussion: """
        Over loopback, on one connection, with messages of bytes, so that only the runtime is measured: calls with one reply \
        at 1 and 64 in flight, streams of every shape at 1 KB and 100 KB, and calls beside streams that nobody reads. \
        Medians of the rounds are printed. \
        Example: chancery bench rpc -o json
        """)

    @Option(parsing: .unconditional, help: "How many rounds.") var rounds = 3
    @Flag(help: "Measure over TLS, with certificates on both sides.") var tls = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard (1...100).contains(rounds) else { throw ValidationError("--rounds \(rounds) is not between 1 and 100") }
    }

    func run() async throws {
      let rows = try await RPCBenchServer.with(tls: tls) { address, pid, files in
        let loops = EventLoops()
        let connector = TCPConnector(
          endpoint: try Endpoint(parsing: address), loops: loops, tls: try files.map { try TLSCredentials(reading: $0) }
        )
        let channel = ClientChannel(connectors: [connector])
        let running = Task { await channel.run() }
        // Calls are made from the connection's own thread, as a handler that calls another service makes them.
        let rows = try await withTaskExecutorPreference(loops.executor) {
          try await RPCBenchmark(channel: channel, server: pid).measure(rounds: rounds)
        }
        running.cancel()
        await running.value
        await loops.shutdown()
        return rows
      }
      output.print(rows)
    }
  }

  /// The other end of `bench rpc`.
  struct RPCServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rpc-server", shouldDisplay: false)

    @Option var readyFile: String
    @OptionGroup var tls: TLSOptions

    func run() async throws {
      let loops = EventLoops()
      let server = TCPServer(
        router: RPCRouter(services: [RPCBenchService()]) { error, method in
          StandardError.write("\(method.path): \(error)\n")
        }, loops: loops, tls: try tls.credentials())
      let interruption = Interruption()
      ReadyFile.write([try await server.listen(at: .tcp(host: "127.0.0.1", port: 0))], to: readyFile)
      await interruption.wait()
      await server.shutdown()
      await loops.shutdown()
    }
  }
}

/// Runs the server as a process of its own.
@ServerHost
private enum RPCBenchServer {
  nonisolated static func with<Value: Sendable>(
    tls: Bool, _ body: (_ address: String, _ pid: Int32, _ files: TLSFiles?) async throws -> Value
  ) async throws -> Value {
    let directory = try await ServerDirectory("b")
    let files = tls ? try certificate(in: directory.url) : nil
    let (process, address) = try await start(in: directory, files)
    let result: Result<Value, any Error>
    do {
      result = .success(try await body(address, process.pid, files))
    } catch {
      result = .failure(error)
    }
    await process.signal(SIGTERM)
    try await process.waitForExit(within: .seconds(10))
    try await directory.remove()
    return try result.get()
  }

  /// One certificate for both ends.
  private nonisolated static func certificate(in directory: URL) throws -> TLSFiles {
    let authority = try DevAuthority(in: directory.appending(path: "tls"))
    defer { authority.close() }
    return try authority.issue("bench", identity: AccessTable.identity("bench"))
  }

  private static func start(in directory: ServerDirectory, _ files: TLSFiles?) throws -> (ServerProcess, String) {
    let ready = directory.url.appending(path: "ready").path
    let log = directory.url.appending(path: "log")
    let tls = files.map { ["--tls-cert", $0.certificate, "--tls-key", $0.key, "--tls-ca", $0.authority] } ?? []
    let process = try ServerProcess(
      [ClusterService.executable, "bench", "rpc-server", "--ready-file", ready] + tls, log: log,
      environment: Settings.withoutCluster)
    try waitUntil("the server takes calls") {
      if FileManager.default.fileExists(atPath: ready) { return true }
      guard process.isRunning else {
        let output = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw LocalServerError("the server has ended: \(output.suffix(1000))")
      }
      return false
    }
    return (process, try ReadyFile.read(ready)[0])
  }
}
