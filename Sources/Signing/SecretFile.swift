internal import Glibc

/// A file that holds a secret: opened once, and judged by what was opened rather than by its name, which could be
/// replaced in between.
struct SecretFile: ~Copyable {
  private let descriptor: CInt
  private let path: String

  /// Opens an existing file for reading.
  init(opening path: String) throws(SigningError) {
    try Self.checkPath(path, .fileUnreadable)
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw SigningError(.fileUnreadable, "cannot open \(path): \(Self.reason(errno)); check the path and its owner")
    }
    self.descriptor = descriptor
    self.path = path
  }

  deinit {
    close(descriptor)
  }

  /// Insists that nobody but the owner, root and, if allowed, the group can read the file, and only its owner and root
  /// write it.
  borrowing func requirePrivate(_ readers: KeyEncryptionKey.Readers) throws(SigningError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw SigningError(.fileUnreadable, "cannot examine \(path): \(Self.reason(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw SigningError(.fileUnreadable, "\(path) is not a regular file; give the file that holds the key")
    }
    guard status.st_uid == geteuid() || status.st_uid == 0 else {
      throw SigningError(
        .filePermissions,
        "\(path) belongs to user \(status.st_uid), who could read or replace it; run: chown \(geteuid()) \(path)")
    }
    let allowed: mode_t
    let remedy: String
    switch readers {
    case .ownerOnly: (allowed, remedy) = (0o700, "chmod 600 \(path)")
    case .ownerAndGroup: (allowed, remedy) = (0o740, "chmod 640 \(path)")
    }
    let mode = status.st_mode & 0o777
    guard mode & ~allowed == 0 else {
      throw SigningError(
        .filePermissions,
        "\(path) has mode 0\(String(mode, radix: 8)) and is open to others; run: \(remedy), and replace the key if "
          + "someone may have read it")
    }
  }

  /// The whole file.
  borrowing func contents(atMost limit: Int) throws(SigningError) -> SecretBytes {
    let contents = try SecretBytes(capacity: limit + 1) { (output) throws(SigningError) in
      try output.withUnsafeMutableBufferPointer { (buffer, initialized) throws(SigningError) in
        while initialized < buffer.count {
          let count = read(descriptor, buffer.baseAddress! + initialized, buffer.count - initialized)
          if count < 0, errno == EINTR { continue }
          guard count >= 0 else {
            throw SigningError(.fileUnreadable, "cannot read \(path): \(Self.reason(errno))")
          }
          if count == 0 { return }
          initialized += count
        }
      }
    }
    guard contents.count <= limit else {
      throw SigningError(
        .malformedKeyEncryptionKey, "\(path) has more than \(limit) bytes and cannot be a key; check the path")
    }
    return contents
  }

  /// Makes a new file that only its owner can read, with these contents, and waits until disk has both. A file that
  /// could not be completed is removed.
  static func create(_ path: String, containing contents: borrowing SecretBytes) throws(SigningError) {
    try checkPath(path, .fileUnwritable)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      if errno == EEXIST {
        throw SigningError(.fileExists, "\(path) is there already and is not overwritten; choose another path")
      }
      throw SigningError(.fileUnwritable, "cannot make \(path): \(reason(errno)); check the directory and its owner")
    }
    let failure = writeAll(contents, to: descriptor) ?? (fsync(descriptor) == 0 ? nil : errno)
    let closed = close(descriptor) == 0 ? nil : errno
    guard let problem = failure ?? closed ?? synchronizeDirectory(of: path) else { return }
    unlink(path)
    throw SigningError(.fileUnwritable, "cannot write \(path): \(reason(problem)); nothing was left behind")
  }

  private static func writeAll(_ contents: borrowing SecretBytes, to descriptor: CInt) -> CInt? {
    contents.withBytes { contents in
      contents.withUnsafeBytes { bytes in
        var written = 0
        while written < bytes.count {
          let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
          if count < 0, errno == EINTR { continue }
          guard count > 0 else { return count < 0 ? errno : EIO }
          written += count
        }
        return nil
      }
    }
  }

  /// A new name is durable only once its directory is.
  private static func synchronizeDirectory(of path: String) -> CInt? {
    let directory =
      switch path.lastIndex(of: "/") {
      case nil: "."
      case path.startIndex?: "/"
      case let slash?: String(path[..<slash])
      }
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    let failure = fsync(descriptor) == 0 ? nil : errno
    close(descriptor)
    return failure
  }

  private static func checkPath(_ path: String, _ code: SigningError.Code) throws(SigningError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw SigningError(code, "a path must not be empty or contain a zero byte")
    }
  }

  private static func reason(_ number: CInt) -> String {
    String(cString: strerror(number))
  }
}
