internal import CSodium

/// The blocks of a PEM file (RFC 7468, and the older form with headers of RFC 1421), found but not decoded.
///
/// Text before the first block is explanation and is skipped, as OpenSSL does. Anything but white space after a block
/// is an error: it is more likely a damaged file than a comment.
struct PEMFile {
  /// One `-----BEGIN …-----` to `-----END …-----`.
  struct Block {
    /// What the block says it holds, such as `EC PRIVATE KEY`.
    let label: String
    /// Where the header lines are, with their line ends; empty in the modern form.
    let headers: Range<Int>
    /// Where the base64 text is.
    let body: Range<Int>
  }

  /// In the order of the file; at least one and at most ``maximumBlocks``.
  let blocks: [Block]

  /// More than any file with one key has.
  static let maximumBlocks = 16

  private static let beginMark: StaticString = "-----BEGIN "
  private static let endMark: StaticString = "-----END "

  /// Whether there is a block at all; otherwise the bytes may be DER.
  static func isPresent(in bytes: Span<UInt8>) -> Bool {
    bytes.indices.contains { bytes.hasPrefix(beginMark, at: $0) }
  }

  /// Finds the blocks.
  /// - Throws: `malformed_pem`, or `trailing_data` for text that follows a block.
  init(_ bytes: Span<UInt8>) throws(SigningError) {
    var blocks: [Block] = []
    var lines = LineCursor()
    while let line = lines.next(in: bytes) {
      if bytes.hasPrefix(Self.beginMark, at: line.lowerBound) {
        guard blocks.count < Self.maximumBlocks else {
          throw Self.malformed("there are more than \(Self.maximumBlocks) blocks")
        }
        blocks.append(try Self.readBlock(from: line, &lines, in: bytes))
      } else if !blocks.isEmpty, !line.isEmpty {
        throw SigningError(.trailingData, "text follows the \(blocks[blocks.count - 1].label) block; remove it")
      }
    }
    guard !blocks.isEmpty else { throw Self.malformed("there is no line that starts with -----BEGIN") }
    self.blocks = blocks
  }

  /// Decodes the body of a block into memory that is wiped.
  static func decode(_ block: Block, in bytes: Span<UInt8>) throws(SigningError) -> SecretBytes {
    let text = bytes.extracting(block.body)
    let capacity = text.count / 4 * 3 + 3
    var isDecoded = false
    let decoded = try SecretBytes(capacity: capacity) { output in
      output.withUnsafeMutableBufferPointer { target, initialized in
        text.withUnsafeBytes { text in
          isDecoded =
            sodium_base642bin(
              target.baseAddress!, target.count, text.baseAddress, text.count, " \t\r\n", &initialized, nil,
              sodium_base64_VARIANT_ORIGINAL) == 0
        }
      }
    }
    guard isDecoded, decoded.count > 0 else { throw malformed("the \(block.label) block is not valid base64") }
    return decoded
  }

  private static func readBlock(
    from begin: Range<Int>, _ lines: inout LineCursor, in bytes: Span<UInt8>
  ) throws(SigningError) -> Block {
    let label = try label(of: begin, after: beginMark, in: bytes)
    let start = lines.position
    var body = start
    while true {
      let lineStart = lines.position
      guard let line = lines.next(in: bytes) else { throw malformed("the \(label) block has no -----END line") }
      if bytes.hasPrefix(endMark, at: line.lowerBound) {
        guard try Self.label(of: line, after: endMark, in: bytes) == label else {
          throw malformed("the \(label) block ends with another label")
        }
        return Block(label: label, headers: start..<body, body: body..<lineStart)
      }
      guard !bytes.hasPrefix(beginMark, at: line.lowerBound) else {
        throw malformed("the \(label) block has no -----END line")
      }
      // A header or its continuation is told from base64 by a colon; the empty line after the headers belongs to them.
      if line.contains(where: { bytes[$0] == UInt8(ascii: ":") }) || (line.isEmpty && body == lineStart && body > start)
      {
        body = lines.position
      }
    }
  }

  private static func label(
    of line: Range<Int>, after mark: StaticString, in bytes: Span<UInt8>
  ) throws(SigningError) -> String {
    let label = line.dropFirst(mark.utf8CodeUnitCount).dropLast(5)
    guard (1...48).contains(label.count), bytes.hasPrefix("-----", at: line.upperBound - 5),
      label.allSatisfy({ (0x20...0x7E).contains(bytes[$0]) })
    else { throw malformed("a -----BEGIN or -----END line is damaged") }
    return String(decoding: label.map { bytes[$0] }, as: UTF8.self)
  }

  static func malformed(_ what: String) -> SigningError {
    SigningError(.malformedPEM, "the PEM file is damaged: \(what); copy the file again, whole and unchanged")
  }
}

/// Steps through text line by line, without the line end and the white space before it.
private struct LineCursor {
  private(set) var position = 0

  mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    var end = start
    while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
    position = min(end + 1, bytes.count)
    while end > start, Self.isBlank(bytes[end - 1]) { end -= 1 }
    return start..<end
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
  }
}
