import Glibc

/// Standard input: what a person types, or data.
enum StandardInput {
  /// Whether a person is likely to type.
  static let isTerminal = isatty(STDIN_FILENO) == 1
}

/// Standard error: progress, hints and errors.
enum StandardError {
  /// Whether a person is likely to read along.
  static let isTerminal = isatty(STDERR_FILENO) == 1

  /// Whether a line can be drawn again.
  static let canRedraw = isTerminal && TerminalKind.hasControls

  static func write(_ text: String) { writeAll(text, to: STDERR_FILENO) }
}

/// Standard output: data, and nothing else.
enum StandardOutput {
  static let isTerminal = isatty(STDOUT_FILENO) == 1

  static func write(_ text: String) { writeAll(text, to: STDOUT_FILENO) }

  static func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { writeAll($0, to: STDOUT_FILENO) } }
}

private func writeAll(_ text: String, to descriptor: Int32) {
  var text = text
  text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
}

/// Writes everything; a reader that has gone away ends the command, as it does for other tools in a pipe.
private func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
    if count > 0 {
      rest = rest.dropFirst(count)
    } else if errno != EINTR {
      exit(errno == EPIPE ? 0 : 1)
    }
  }
}

extension Slice where Base == UnsafeRawBufferPointer {
  fileprivate var baseAddress: UnsafeRawPointer? { base.baseAddress.map { $0 + startIndex } }
}
