/// Reads the few ASN.1 structures that keys consist of, in strict DER (X.690): definite lengths in their shortest form,
/// shortest integers.
///
/// It finds ranges and copies nothing, so that key material stays where it is. It knows nothing about meaning; the
/// parsers on top of it do.
struct DERCursor {
  /// ASN.1 tags in use, with class and constructed bit.
  enum Tag: UInt8 {
    case integer = 0x02
    case bitString = 0x03
    case octetString = 0x04
    case null = 0x05
    case objectIdentifier = 0x06
    case sequence = 0x30
    case context0 = 0xA0
    case context1 = 0xA1
    /// `[1] IMPLICIT BIT STRING`, the public key of RFC 5958.
    case implicit1 = 0x81
  }

  private(set) var position: Int
  private let end: Int

  init(_ range: Range<Int>) {
    position = range.lowerBound
    end = range.upperBound
  }

  var isAtEnd: Bool { position == end }

  /// The tag of the next element, or nil at the end or if it is none that keys contain.
  func peek(in bytes: Span<UInt8>) -> Tag? {
    position < end ? Tag(rawValue: bytes[position]) : nil
  }

  /// Steps over the next element, which must have this tag, and returns where its content lies.
  mutating func read(_ tag: Tag, in bytes: Span<UInt8>) throws(SigningError) -> Range<Int> {
    let start = position
    guard start < end else { throw Self.malformed("it ends where \(tag) is expected", at: start) }
    guard bytes[start] == tag.rawValue else { throw Self.malformed("\(tag) is expected", at: start) }
    return try skip(in: bytes)
  }

  /// Steps over the next element, whatever it is, and returns where its content lies.
  mutating func skip(in bytes: Span<UInt8>) throws(SigningError) -> Range<Int> {
    let start = position
    guard start + 1 < end else { throw Self.malformed("an element is cut short", at: start) }
    var count = Int(bytes[start + 1])
    var content = start + 2
    if count >= 0x80 {
      let lengthBytes = count & 0x7F
      guard (1...3).contains(lengthBytes), content + lengthBytes <= end else {
        throw Self.malformed("a length is indefinite or too large", at: start)
      }
      count = 0
      for _ in 0..<lengthBytes {
        count = count << 8 | Int(bytes[content])
        content += 1
      }
      guard count >= 0x80, count >= 1 << (8 * (lengthBytes - 1)) else {
        throw Self.malformed("a length is not in its shortest form", at: start)
      }
    }
    guard count <= end - content else { throw Self.malformed("an element is longer than what holds it", at: start) }
    position = content + count
    return content..<position
  }

  /// An INTEGER that is not negative, without the zero that keeps its top bit clear. Zero itself is an empty range.
  mutating func readUnsigned(in bytes: Span<UInt8>) throws(SigningError) -> Range<Int> {
    let start = position
    let content = try read(.integer, in: bytes)
    guard !content.isEmpty, bytes[content.lowerBound] < 0x80 else {
      throw Self.malformed("an integer is empty or negative", at: start)
    }
    guard bytes[content.lowerBound] == 0 else { return content }
    guard content.count == 1 || bytes[content.lowerBound + 1] >= 0x80 else {
      throw Self.malformed("an integer is not in its shortest form", at: start)
    }
    return content.lowerBound + 1..<content.upperBound
  }

  /// A small INTEGER such as a version or an iteration count; nil if it exceeds 2^31 - 1.
  mutating func readSmallInteger(in bytes: Span<UInt8>) throws(SigningError) -> Int? {
    let digits = try readUnsigned(in: bytes)
    guard digits.count <= 4 else { return nil }
    var value = 0
    for index in digits { value = value << 8 | Int(bytes[index]) }
    return value <= Int32.max ? value : nil
  }

  /// The content bytes of an OBJECT IDENTIFIER.
  mutating func readObjectIdentifier(in bytes: Span<UInt8>) throws(SigningError) -> [UInt8] {
    let start = position
    let content = try read(.objectIdentifier, in: bytes)
    guard (1...32).contains(content.count), bytes[content.upperBound - 1] < 0x80 else {
      throw Self.malformed("an object identifier is empty, cut short or too long", at: start)
    }
    return content.map { bytes[$0] }
  }

  /// A BIT STRING of whole bytes, without the count of unused bits that precedes them.
  mutating func readBitString(_ tag: Tag = .bitString, in bytes: Span<UInt8>) throws(SigningError) -> Range<Int> {
    let start = position
    let content = try read(tag, in: bytes)
    guard !content.isEmpty, bytes[content.lowerBound] == 0 else {
      throw Self.malformed("a bit string does not consist of whole bytes", at: start)
    }
    return content.lowerBound + 1..<content.upperBound
  }

  /// Insists that everything was read.
  func finish() throws(SigningError) {
    guard isAtEnd else { throw Self.malformed("elements follow that do not belong there", at: position) }
  }

  static func malformed(_ what: String, at position: Int) -> SigningError {
    SigningError(
      .malformedDER, "the key is not well-formed DER: \(what) at byte \(position); check that it is complete")
  }
}

extension DERCursor.Tag: CustomStringConvertible {
  var description: String {
    switch self {
    case .integer: "an INTEGER"
    case .bitString: "a BIT STRING"
    case .octetString: "an OCTET STRING"
    case .null: "a NULL"
    case .objectIdentifier: "an OBJECT IDENTIFIER"
    case .sequence: "a SEQUENCE"
    case .context0: "element [0]"
    case .context1, .implicit1: "element [1]"
    }
  }
}
