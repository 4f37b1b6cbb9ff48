import Foundation
import Logging
import ServiceHost

/// What is written to a descriptor while a test runs, line by line.
func capture(_ body: (LogOutput) async throws -> Void) async throws -> [String] {
  let pipe = Pipe()
  // The pipe holds 64 KiB: more than any of these tests writes.
  try await body(LogOutput(descriptor: pipe.fileHandleForWriting.fileDescriptor))
  try pipe.fileHandleForWriting.close()
  let bytes = try pipe.fileHandleForReading.readToEnd() ?? Data()
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
}

/// A log that nobody reads.
let silence = Logger(label: "silence") { _ in SwiftLogNoOpLogHandler() }
