import Foundation

/// The real `openssl` program, for files that we did not make and checks that we did not write.
enum OpenSSLProgram {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Runs it in a directory and returns what it printed.
  @discardableResult
  static func run(_ arguments: [String], in directory: TemporaryDirectory) throws -> [UInt8] {
    let (status, output, errors) = try start(arguments, in: directory)
    guard status == 0 else {
      throw Failure(description: "openssl \(arguments.joined(separator: " ")) exited with \(status): \(errors)")
    }
    return output
  }

  /// Runs it where a non-zero exit is one of the answers.
  static func succeeds(_ arguments: [String], in directory: TemporaryDirectory) throws -> Bool {
    try start(arguments, in: directory).status == 0
  }

  private static func start(
    _ arguments: [String], in directory: TemporaryDirectory
  ) throws -> (status: Int32, output: [UInt8], errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.currentDirectoryURL = directory.url
    process.standardInput = FileHandle.nullDevice
    let errors = directory.url.appendingPathComponent("stderr-\(UUID().uuidString)")
    try Data().write(to: errors)
    let errorHandle = try FileHandle(forWritingTo: errors)
    defer { try? errorHandle.close() }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = errorHandle
    try process.run()
    let printed = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, Array(printed), try String(contentsOf: errors, encoding: .utf8))
  }
}

/// A directory that exists as long as the test that made it.
final class TemporaryDirectory {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("signing-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: url.appendingPathComponent(name))
  }

  func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: url.appendingPathComponent(name)))
  }
}
