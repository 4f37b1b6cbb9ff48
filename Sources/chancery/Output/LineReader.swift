/// A line of a file, with its number from 1.
struct NumberedLine {
  var number: Int
  var bytes: [UInt8]
}

/// Reads a file line by line in bounded memory. Empty lines are passed over.
final class LineReader {
  /// The longest line: a payload at its limit as base64, and room for the rest.
  static let maximumLineBytes = 2 * 1024 * 1024

  private let file: InputFile
  private var buffer: [UInt8] = []
  private var position = 0
  private var number = 0
  private var isAtEnd = false

  /// Opens `path`; `-` is standard input.
  init(path: String) throws {
    file = try InputFile(path: path)
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
        code: "line_too_long",
        message: "line \(number + 1) of \(file.name) is longer than \(Self.maximumLineBytes) bytes")
    }
    let piece = try file.read()
    isAtEnd = piece.isEmpty
    buffer += piece
  }
}
