import Glibc

/// A file that is read from its beginning to its end, in pieces of bounded size.
final class InputFile {
  /// What errors call it.
  let name: String
  private let descriptor: Int32
  private static let pieceBytes = 256 * 1024

  /// Opens `path`; `-` is standard input. Throws `unreadable_file`.
  init(path: String) throws {
    name = path == "-" ? "standard input" : path
    descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(of: path) }
  }

  /// Nil if there is no such file.
  static func ifPresent(_ path: String) throws -> InputFile? {
    access(path, F_OK) != 0 && errno == ENOENT ? nil : try InputFile(path: path)
  }

  deinit {
    if descriptor != STDIN_FILENO { close(descriptor) }
  }

  /// The next bytes; none at the end.
  func read() throws -> [UInt8] {
    var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count >= 0 { return Array(piece.prefix(count)) }
      guard errno == EINTR else { throw Self.failure(of: name) }
    }
  }

  private static func failure(of name: String) -> CommandFailure {
    CommandFailure(
      code: "unreadable_file", message: "\(name) cannot be read: \(String(cString: strerror(errno)))")
  }
}
