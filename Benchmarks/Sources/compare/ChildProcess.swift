import Foundation
import Measurement

/// A process that this one starts, its output in files. Whoever starts one waits for its end, which cancellation brings about.
final class ChildProcess: Sendable {
  /// The program and what it was told first, for messages.
  let name: String
  private let process = Process()
  private let input = Pipe()
  private let outputFile: URL
  private let errorFile: URL
  private let ended: Task<Void, Never>

  /// Starts a program.
  ///
  /// Its standard input is a pipe of which nothing comes, and which ends when this process ends, however that happens.
  ///
  /// - Parameter scratch: where its output goes.
  init(_ program: URL, _ arguments: [String], scratch: URL) throws {
    name = ([program.lastPathComponent] + arguments.prefix { !$0.hasPrefix("-") }).joined(separator: " ")
    let unique = UUID().uuidString
    outputFile = scratch.appending(path: "\(unique).out")
    errorFile = scratch.appending(path: "\(unique).err")
    process.executableURL = program
    process.arguments = arguments
    // A crash says why in one line, not after seconds and at the end of pages.
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    process.standardInput = input
    process.standardOutput = try Self.handle(outputFile)
    process.standardError = try Self.handle(errorFile)
    let (end, continuation) = AsyncStream<Never>.makeStream()
    process.terminationHandler = { _ in continuation.finish() }
    ended = Task { for await _ in end {} }
    do {
      try process.run()
    } catch {
      continuation.finish()
      throw BenchError("cannot run \(program.path): \(error.localizedDescription)")
    }
  }

  private static func handle(_ file: URL) throws -> FileHandle {
    try Data().write(to: file)
    return try FileHandle(forWritingTo: file)
  }

  var pid: Int32 { process.processIdentifier }

  var isRunning: Bool { process.isRunning }

  /// What it has printed so far.
  var output: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }

  /// Waits until it has ended; terminates it when the task is cancelled.
  func waitForEnd() async {
    await withTaskCancellationHandler {
      await ended.value
    } onCancel: {
      terminate()
    }
  }

  /// Asks it to end, and makes it end if it has not after five seconds.
  func terminate() {
    guard process.isRunning else { return }
    process.terminate()
    DispatchQueue.global().asyncAfter(deadline: .now() + 5) {
      if self.process.isRunning { kill(self.pid, SIGKILL) }
    }
  }

  /// Terminates it and waits until it has ended.
  func end() async {
    terminate()
    await ended.value
  }

  /// Whether it has ended well.
  var hasSucceeded: Bool { process.terminationReason == .exit && process.terminationStatus == 0 }

  /// Whether it has ended because it was asked to.
  var wasTerminated: Bool {
    process.terminationReason == .uncaughtSignal && [SIGTERM, SIGKILL].contains(process.terminationStatus)
  }

  /// How it has failed, with the end of what it said.
  var failure: String {
    let status = process.terminationStatus
    let how = process.terminationReason == .exit ? "with status \(status)" : "by signal \(status)"
    let said = (try? String(decoding: Data(contentsOf: errorFile), as: UTF8.self)) ?? ""
    let tail = said.split(separator: "\n").suffix(10).map { "\n  \($0.prefix(500))" }.joined()
    return "\(name) (process \(pid)) ended \(how)" + (tail.isEmpty ? ", and said nothing" : "; it said:\(tail)")
  }
}
