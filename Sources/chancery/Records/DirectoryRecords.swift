import Domain
import Glibc
import Schema

/// The files of a directory as records, those of its directories too: the external id is the path below it, the payload the
/// bytes. They come sorted by the bytes of their names, each directory where its name stands.
///
/// What is no regular file (links, devices, pipes, sockets) is passed over with a note. Memory holds the names of the
/// directories on the way to a file, and one file.
struct DirectoryRecords: RecordInput {
  /// The names left of a directory, the last first, and the path to them, which ends with a slash unless it is empty.
  private struct Level {
    var path: String
    var names: [String]
  }

  private let root: String
  private var levels: [Level] = []
  private let note: (String) -> Void

  /// Throws `unreadable_file` when `root` is no directory. `note` is told what is passed over.
  init(root: String, note: @escaping (String) -> Void) throws {
    self.root = root
    self.note = note
    levels = [Level(path: "", names: try names(in: ""))]
  }

  mutating func next() throws -> ChanceryV1.NewRecord? {
    while let name = levels.last?.names.last {
      let path = levels[levels.count - 1].path + name
      levels[levels.count - 1].names.removeLast()
      defer { while levels.last?.names.isEmpty == true { levels.removeLast() } }
      var status = stat()
      guard lstat("\(root)/\(path)", &status) == 0 else { throw unreadable(path) }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: levels.append(Level(path: path + "/", names: try names(in: path)))
      case S_IFREG:
        if let bytes = try contents(path) { return try .init(payload: bytes, externalID: path, at: path) }
      default: note("\(path) is no regular file and is passed over")
      }
    }
    return nil
  }

  private func names(in path: String) throws -> [String] {
    guard let directory = opendir("\(root)/\(path)") else { throw unreadable(path) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        guard errno == 0 else { throw unreadable(path) }
        break
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard let text = String(validating: name, as: UTF8.self) else {
        throw CommandFailure(
          code: "malformed_record",
          message: "\(root)/\(path) has a file whose name is not UTF-8, as an external id must be",
          hint: "rename '\(String(decoding: name, as: UTF8.self).filter { !$0.isASCII || $0.isLetter || $0.isNumber })'"
        )
      }
      if text != ".", text != ".." { names.append(text) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.reversed()
  }

  /// Nil for what has become something else since it was looked at.
  private func contents(_ path: String) throws -> [UInt8]? {
    // What a link or a pipe has taken the place of is not followed or waited for.
    let descriptor = open("\(root)/\(path)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      note("\(path) is no regular file any more and is passed over")
      return nil
    }
    guard status.st_size <= Record.maximumPayloadBytes else {
      throw CommandFailure(
        code: "payload_too_large",
        message: "\(path): a payload of \(status.st_size) bytes is above the limit of \(Record.maximumPayloadBytes)",
        hint: "split the file, or sign a digest of it")
    }
    var bytes = [UInt8](repeating: 0, count: Record.maximumPayloadBytes + 1)
    var count = 0
    while count < bytes.count {
      let read = bytes[count...].withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if read < 0, errno == EINTR { continue }
      guard read >= 0 else { throw unreadable(path) }
      if read == 0 { break }
      count += read
    }
    return Array(bytes.prefix(count))
  }

  private func unreadable(_ path: String) -> CommandFailure {
    CommandFailure(
      code: "unreadable_file", message: "\(root)/\(path) cannot be read: \(String(cString: strerror(errno)))")
  }
}
