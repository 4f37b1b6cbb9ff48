import Foundation

/// The protoc of protobuf itself, as the judge of what bytes mean.
struct Protoc {
  /// The directory of the `.proto` files.
  let root: URL
  /// The files that declare the messages, relative to it.
  let files: [String]
  /// How many random messages of each type are compared: most where the types are strange.
  let seeds: UInt64

  static let tests = Protoc(
    root: repository.appending(path: "Tests/Protos"), files: ["chancery/testing/v1/everything.proto"], seeds: 6)
  /// Everything that is shipped, which is one package.
  static let shipped = Protoc(
    root: repository.appending(path: "Protos"),
    files: try! FileManager.default.contentsOfDirectory(
      atPath: repository.appending(path: "Protos/chancery/v1").path()
    ).sorted().map { "chancery/v1/\($0)" }, seeds: 1)

  private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The text format of encoded bytes.
  func decode(_ bytes: [UInt8], as message: String) throws -> [UInt8] {
    try run("--decode=\(message)", input: bytes)
  }

  /// The bytes of a message in text format.
  func encode(_ text: [UInt8], as message: String) throws -> [UInt8] {
    try run("--encode=\(message)", input: text)
  }

  private func run(_ mode: String, input: [UInt8]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["protoc", "-I", root.path(), mode] + files
    let (standardInput, standardOutput, standardError) = (Pipe(), Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = standardOutput
    process.standardError = standardError
    try process.run()
    // protoc reads all its input before it writes, so neither pipe can block the other.
    try standardInput.fileHandleForWriting.write(contentsOf: Data(input))
    try standardInput.fileHandleForWriting.close()
    let output = try standardOutput.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    // A few lines at most: a pipe holds them until now.
    let complaint = try standardError.fileHandleForReading.readToEnd() ?? Data()
    guard process.terminationStatus == 0 else { throw Failure(complaint: String(decoding: complaint, as: UTF8.self)) }
    return [UInt8](output)
  }

  /// protoc failed, and said why.
  struct Failure: Error {
    let complaint: String
  }
}
