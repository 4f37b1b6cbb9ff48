import Dispatch
import Foundation
import Synchronization

/// Ctrl-C and SIGTERM. A second one ends the process as usual.
final class Interruption: Sendable {
  private let first = Mutex<Int32?>(nil)

  /// The signal that came, if one has.
  var received: Int32? { first.withLock { $0 } }

  /// - Parameter action: what to do at the first of them.
  init(_ action: @escaping @Sendable () -> Void) {
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      // The handler keeps the source as long as the process lives.
      source.setEventHandler { [self] in
        _ = source
        first.withLock { if $0 == nil { $0 = number } }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
        action()
      }
      source.resume()
    }
  }
}

/// Standard error, for people.
enum StandardError {
  static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// A directory that lives as long as it is lent.
enum ScratchDirectory {
  static func with<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
    let url = FileManager.default.temporaryDirectory.appending(path: "chancery-compare-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    // What cannot be removed from a temporary directory hurts nobody.
    defer { try? FileManager.default.removeItem(at: url) }
    return try await body(url)
  }
}
