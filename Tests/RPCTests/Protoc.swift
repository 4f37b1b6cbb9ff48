import Foundation

/// Runs the installed protoc on the schemas of this folder.
enum Protoc {
  static let path = "/usr/bin/protoc"
  static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

  /// The wire format of `text`, a message in protobuf's text format.
  static func encode(_ text: String, as type: String) throws -> [UInt8] {
    try run("--encode=\(type)", input: Data(text.utf8))
  }

  /// The text format of a message.
  static func decode(_ bytes: [UInt8], as type: String) throws -> String {
    String(decoding: try run("--decode=\(type)", input: Data(bytes)), as: UTF8.self)
  }

  private struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Input and output go through files, so that neither side waits for the other.
  private static func run(_ mode: String, input: Data) throws -> [UInt8] {
    let folder = FileManager.default.temporaryDirectory.appending(path: "protoc-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["input", "output", "errors"].map { folder.appending(path: $0) }
    try input.write(to: files[0])
    for file in files[1...] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = [mode, "--proto_path=\(protos)", "ttrpc.proto"]
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(description: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
    }
    return [UInt8](try Data(contentsOf: files[1]))
  }

  private static let protos = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Protos").path()
}
