import Foundation
import Synchronization
import Testing

/// Runs programs as a shell does, and keeps what they say.
enum Program {
  /// How a program ended.
  struct Outcome: Sendable {
    var status: Int32
    var output: String
    var errors: String

    /// The output, which must be one JSON document.
    func json(sourceLocation: SourceLocation = #_sourceLocation) throws -> JSON {
      do {
        return JSON(value: try JSONSerialization.jsonObject(with: Data(output.utf8), options: .fragmentsAllowed))
      } catch {
        Issue.record("no JSON: \(output.prefix(500)) \(errors.prefix(500))", sourceLocation: sourceLocation)
        throw error
      }
    }
  }

  /// The end of a program, which comes once.
  private final class End: Sendable {
    private let continuation: Mutex<CheckedContinuation<Int32, any Error>?>

    init(_ continuation: CheckedContinuation<Int32, any Error>) { self.continuation = Mutex(continuation) }

    func come(_ outcome: Result<Int32, any Error>) {
      continuation.withLock { continuation in
        defer { continuation = nil }
        return continuation
      }?.resume(with: outcome)
    }
  }

  /// A program was killed, and still its end was not seen.
  private struct Endless: Error {
    var command: String
    var errors: String
  }

  /// The program under test, which is built beside the tests.
  static let chancery: String = {
    let tests =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return URL(filePath: tests).deletingLastPathComponent().appending(path: "chancery").path
  }()

  /// Runs a program to its end; one that takes longer than the limit is killed.
  static func run(
    _ program: String, _ arguments: [String], input: String = "", environment: [String: String] = [:],
    limit: Duration = .seconds(60)
  ) async throws -> Outcome {
    let folder = FileManager.default.temporaryDirectory.appending(path: "chancery-e2e-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files, not pipes: nobody waits for a reader.
    let files = ["input", "output", "errors"].map { folder.appending(path: $0) }
    try Data(input.utf8).write(to: files[0])
    for file in files[1...] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = URL(filePath: program.hasPrefix("/") ? program : "/usr/bin/env")
    process.arguments = (program.hasPrefix("/") ? [] : [program]) + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let handles = [
      try FileHandle(forReadingFrom: files[0]), try FileHandle(forWritingTo: files[1]),
      try FileHandle(forWritingTo: files[2]),
    ]
    defer { for handle in handles { try? handle.close() } }
    (process.standardInput, process.standardOutput, process.standardError) = (handles[0], handles[1], handles[2])
    let status = try await withCheckedThrowingContinuation { continuation in
      let end = End(continuation)
      process.terminationHandler = { end.come(.success($0.terminationStatus)) }
      do {
        try process.run()
      } catch {
        process.terminationHandler = nil
        end.come(.failure(error))
        return
      }
      let pid = process.processIdentifier
      Task {
        try await Task.sleep(for: limit)
        if process.isRunning { kill(pid, SIGKILL) }
        // Foundation does not hear of the end of a program while something that it has started lives on.
        try await Task.sleep(for: .seconds(10))
        let errors = (try? String(contentsOf: files[2], encoding: .utf8)) ?? ""
        end.come(.failure(Endless(command: ([program] + arguments).joined(separator: " "), errors: errors)))
      }
    }
    let texts = try files[1...].map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    return Outcome(status: status, output: texts[0], errors: texts[1])
  }
}

/// A JSON value, read by path.
struct JSON: @unchecked Sendable {
  // Unchecked: what JSONSerialization makes is never changed.
  let value: Any?

  subscript(key: String) -> JSON { JSON(value: (value as? [String: Any])?[key]) }
  subscript(index: Int) -> JSON { JSON(value: list.indices.contains(index) ? list[index].value : nil) }

  var list: [JSON] { (value as? [Any] ?? []).map { JSON(value: $0) } }
  var text: String? { value as? String }
  var number: Int? { (value as? NSNumber)?.intValue }
}

/// The folder of the whole package.
let packageFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

/// Waits until something outside this process holds, looking again and again; fails after a minute.
func eventually(
  _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
  let limit = ContinuousClock.now + .seconds(60)
  while try await !condition() {
    try #require(ContinuousClock.now < limit, "a minute passed until \(what)", sourceLocation: sourceLocation)
    try await Task.sleep(for: .milliseconds(20))
  }
}
