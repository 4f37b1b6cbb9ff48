import Foundation
import Measurement

/// The programs that are compared.
struct Peers {
  private let chancery: URL
  private let grpcEcho: URL
  private let nioFloor: URL
  private let scratch: URL

  /// Throws ``BenchError`` if a program is missing.
  init(chancery: URL, scratch: URL) throws {
    self.chancery = try Self.program(chancery, "build it with 'make build', or name another with --chancery")
    // They are built together with this program.
    let directory = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let hint = "build it with 'swift build -c release' in Benchmarks"
    grpcEcho = try Self.program(directory.appending(path: "grpc-echo"), hint)
    nioFloor = try Self.program(directory.appending(path: "nio-floor"), hint)
    self.scratch = scratch
  }

  private static func program(_ url: URL, _ hint: String) throws -> URL {
    var isDirectory = ObjCBool(false)
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory), !isDirectory.boolValue,
      FileManager.default.isExecutableFile(atPath: url.path)
    else { throw BenchError("there is no program at \(url.path): \(hint)") }
    return url
  }

  /// Measures all peers in turns.
  func compare(rounds: Int) async throws -> Report {
    let machine = Machine()
    let versions = Report.Versions(chancery: try await run(chancery, ["--version"]).trimmed)
    var measured: [Report.Round] = []
    for round in 1...rounds {
      func announce(_ peer: String) { StandardError.write("round \(round) of \(rounds): \(peer)\n") }
      announce("chancery")
      let chancery = try await chanceryRows()
      announce("grpc-swift-2")
      let grpc = try await rows(of: grpcEcho)
      announce("floor")
      let floor = try await rows(of: nioFloor)
      announce("floor with hops")
      let hops = try await rows(of: nioFloor, ["--hops"])
      measured.append(Report.Round(chancery: chancery, grpc: grpc, floor: floor, floorWithHops: hops))
    }
    return Report(machine: machine, versions: versions, rounds: measured)
  }

  private func chanceryRows() async throws -> [BenchRow] {
    let output = try await run(chancery, ["bench", "rpc", "--rounds", "1", "-o", "json"])
    do {
      return try JSONDecoder().decode([BenchRow].self, from: Data(output.utf8))
    } catch {
      throw BenchError("chancery printed what is not a list of rows (\(error)): \(output.prefix(500))")
    }
  }

  /// Runs a program to its end, and gives what it printed.
  private func run(_ program: URL, _ arguments: [String]) async throws -> String {
    let process = try ChildProcess(program, arguments, scratch: scratch)
    await process.waitForEnd()
    try Task.checkCancellation()
    guard process.hasSucceeded else { throw BenchError(process.failure) }
    return process.output
  }

  /// Runs a peer's server and its client.
  private func rows(of program: URL, _ options: [String] = []) async throws -> [BenchRow] {
    let server = try ChildProcess(program, ["server", "--ends-with-input"], scratch: scratch)
    do {
      let port = try await port(of: server)
      let rows = try await rows(
        of: program, ["client", "--port", port, "--server-pid", String(server.pid)] + options, server: server)
      await server.end()
      return rows
    } catch {
      await server.end()
      throw error
    }
  }

  private func port(of server: ChildProcess) async throws -> String {
    let deadline = ContinuousClock.now + .seconds(10)
    while true {
      let output = server.output
      if output.hasSuffix("\n") { return output.trimmed }
      guard server.isRunning else { throw BenchError(server.failure) }
      guard ContinuousClock.now < deadline else { throw BenchError("\(server.name) does not listen after 10 seconds") }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  private func rows(of program: URL, _ arguments: [String], server: ChildProcess) async throws -> [BenchRow] {
    let client = try ChildProcess(program, arguments, scratch: scratch)
    let hasLostServer = await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await server.waitForEnd()
        // Without its server it might wait for ever.
        client.terminate()
      }
      await client.waitForEnd()
      let isServing = server.isRunning
      server.terminate()
      return !isServing
    }
    try Task.checkCancellation()
    // A client may notice sooner than we do that its server has crashed: what ended the server tells.
    await server.waitForEnd()
    if hasLostServer || !server.wasTerminated { throw BenchError(server.failure) }
    guard client.hasSucceeded else { throw BenchError(client.failure) }
    return try client.output.split(separator: "\n").map { line in
      do {
        return try JSONDecoder().decode(BenchRow.self, from: Data(line.utf8))
      } catch {
        throw BenchError("\(client.name) printed what is not a row (\(error)): \(line.prefix(500))")
      }
    }
  }
}

extension String {
  fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
