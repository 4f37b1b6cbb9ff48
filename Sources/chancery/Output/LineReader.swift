import Glibc

/// A line of a file, with its number from 1.
struct NumberedLine {
  var number: Int
  var bytes: [UInt8]
}

/// Reads a file line by line in bounded memory. Empty lines are passed over.
final class LineReader {
  /// The longest line: a payload at its limit as base64, and room for the rest.
  static let maximumLineBytes = 2 * 1024 * 1024

  private let descriptor: Int32
  private let name: String
  private var buffer: [UInt8] = []
  private var position = 0
  private var number = 0
  private var isAtEnd = false

  /// Opens `path`; `-` is standard input.
  init(path: String) throws {
    name = path == "-" ? "standard input" : path
    descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CommandFailure(
        code: "unreadable_file", message: "\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    if descriptor != STDIN_FILENO { close(descriptor) }
  }

  /// The next line without its end; nil at the end of the file.
  func next() throws -> NumberedLine? {
    while true {
      if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = Array(buffer[position..<end])
        position = end + 1
        number += 1
        if !line.isEmpty { return NumberedLine(number: number, bytes: line) }
      } else if isAtEnd {
        defer { position = buffer.endIndex }
        guard position < buffer.endIndex else { return nil }
        number += 1
        return NumberedLine(number: number, bytes: Array(buffer[position...]))
      } else {
        try fill()
      }
    }
  }

  private func fill() throws {
    buffer.removeFirst(position)
    position = 0
    guard buffer.count <= Self.maximumLineBytes else {
      throw CommandFailure(
        code: "line_too_long", message: "line \(number + 1) of \(name) is longer than \(Self.maximumLineBytes) bytes")
    }
    var chunk = [UInt8](repeating: 0, count: 256 * 1024)
    let count = read(descriptor, &chunk, chunk.count)
    guard count >= 0 else {
      throw CommandFailure(
        code: "unreadable_file", message: "\(name) cannot be read: \(String(cString: strerror(errno)))")
    }
    isAtEnd = count == 0
    buffer += chunk.prefix(count)
  }
}
