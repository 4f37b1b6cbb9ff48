internal import CSodium

extension KeyEncryptionKey {
  /// Who may read the file besides its owner.
  public enum Readers: Sendable {
    /// Nobody: mode 0600 or 0400.
    case ownerOnly
    /// The file's group, which may not write. Kubernetes mounts secrets for a user that is not root in this way only
    /// (`fsGroup`, mode 0440).
    case ownerAndGroup
  }

  /// What a key-encryption key file starts with. The whole file is this, the 32 bytes in base64 (RFC 4648, 4, with
  /// padding), and at most one line end: `(printf chancery-kek-v1:; openssl rand -base64 32) > FILE` makes one.
  public static let fileHeader = "chancery-kek-v1:"

  /// Reads the file that ``generate(at:)`` makes.
  /// - Parameters:
  ///   - path: A regular file, or a link to one, that belongs to the process's user or to root.
  ///   - readers: Who else may read it.
  /// - Throws: `file_unreadable`, `file_permissions` if others could read or alter it, `malformed_key_encryption_key`.
  public static func load(
    from path: String, readers: Readers = .ownerOnly
  ) throws(SigningError) -> KeyEncryptionKey {
    let file = try SecretFile(opening: path)
    try file.requirePrivate(readers)
    let text = try file.contents(atMost: maximumFileBytes)
    let root = try text.withBytes { (text) throws(SigningError) in try decode(text, path: path) }
    return try KeyEncryptionKey(root: root)
  }

  /// Makes a new key-encryption key and writes it to a new file with mode 0600, synchronized to disk.
  /// - Throws: `file_exists` if anything is there already, `file_unwritable`, `library_failure`.
  public static func generate(at path: String) throws(SigningError) -> KeyEncryptionKey {
    let root = try SecretBytes(randomCount: byteCount)
    let text = try root.withBytes { (root) throws(SigningError) in try encode(root) }
    try SecretFile.create(path, containing: text)
    return try KeyEncryptionKey(root: root)
  }

  /// Larger files are not read.
  private static let maximumFileBytes = 4096

  private static func encode(_ root: Span<UInt8>) throws(SigningError) -> SecretBytes {
    Sodium.prepare()
    let variant = sodium_base64_VARIANT_ORIGINAL
    let encodedCount = sodium_base64_encoded_len(root.count, variant)
    return try SecretBytes(capacity: fileHeader.utf8.count + encodedCount) { output in
      output.append(copying: Array(fileHeader.utf8))
      output.withUnsafeMutableBufferPointer { target, initialized in
        root.withUnsafeBufferPointer { root in
          target.baseAddress!.withMemoryRebound(to: CChar.self, capacity: target.count) { text in
            _ = sodium_bin2base64(text + initialized, encodedCount, root.baseAddress!, root.count, variant)
          }
        }
        // The line end takes the place of the zero that ends the text in C.
        target[target.count - 1] = UInt8(ascii: "\n")
        initialized = target.count
      }
    }
  }

  private static func decode(_ text: Span<UInt8>, path: String) throws(SigningError) -> SecretBytes {
    let header = Array(fileHeader.utf8)
    guard text.count >= header.count, header.indices.allSatisfy({ text[$0] == header[$0] }) else {
      throw SigningError(
        .malformedKeyEncryptionKey,
        "\(path) does not start with \(fileHeader)\(hint(about: text)); make one with: "
          + "(printf \(fileHeader); openssl rand -base64 32) > FILE")
    }
    var end = text.count
    if end > header.count, text[end - 1] == UInt8(ascii: "\n") { end -= 1 }
    if end > header.count, text[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    let encoded = text.extracting(header.count..<end)
    var isDecoded = false
    let root = try SecretBytes(capacity: byteCount) { output in
      output.withUnsafeMutableBufferPointer { target, initialized in
        encoded.withUnsafeBytes { encoded in
          isDecoded =
            sodium_base642bin(
              target.baseAddress!, target.count, encoded.baseAddress, encoded.count, nil, &initialized, nil,
              sodium_base64_VARIANT_ORIGINAL) == 0
        }
      }
    }
    guard isDecoded, root.count == byteCount else {
      throw SigningError(
        .malformedKeyEncryptionKey,
        "\(path) does not hold \(byteCount) bytes in base64 after \(fileHeader); restore it from a backup")
    }
    return root
  }

  /// What the file probably is instead, judged by its size alone.
  private static func hint(about text: Span<UInt8>) -> String {
    switch text.count {
    case 0: " (it is empty)"
    case byteCount: " (it looks like raw bytes: put that and their base64 into it)"
    case 44, 45: " (it looks like base64: put that before it)"
    case 64, 65: " (it looks like hexadecimal: put that and the base64 of its bytes into it)"
    default: ""
    }
  }
}
