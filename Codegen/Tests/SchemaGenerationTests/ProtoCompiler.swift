import Foundation

/// Runs protoc-c to turn `.proto` files into descriptor sets.
enum ProtoCompiler {
  /// The descriptor set of the files directly in a directory, with what they import.
  static func descriptorSet(of directory: URL) throws -> [UInt8] {
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      .filter { $0.hasSuffix(".proto") }.sorted()
    let output = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).descriptors")
    defer { try? FileManager.default.removeItem(at: output) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.currentDirectoryURL = directory
    process.arguments =
      ["protoc-c", "-I", ".", "--include_imports", "--include_source_info", "--descriptor_set_out=\(output.path)"]
      + files
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(files: files) }
    return [UInt8](try Data(contentsOf: output))
  }

  /// protoc-c said on standard error why it failed.
  struct Failure: Error {
    let files: [String]
  }
}

/// A directory that goes when the test ends.
struct TemporaryDirectory: ~Copyable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }

  func write(_ text: String, to path: String) throws {
    let file = url.appendingPathComponent(path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }
}
