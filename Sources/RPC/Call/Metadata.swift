/// Key-value pairs that travel beside a call, in order; a key may occur more than once.
///
/// A key is 1 to 128 bytes of `a-z 0-9 - _ .`; ASCII upper case is folded. A value is text without NUL. A key that ends in
/// `-bin` carries bytes as base64, as in gRPC: use `add(bytes:for:)` and `bytes(for:)`. Pairs that break these rules may
/// be added, but a call that carries them fails with `INVALID_ARGUMENT` before anything is sent.
public struct Metadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// One pair.
  public struct Entry: Sendable, Hashable {
    /// Lower case.
    public let key: String
    /// Text, or base64 for a `-bin` key.
    public let value: String
  }

  /// What each pair counts towards limits beside its bytes, as in HTTP/2 (RFC 9113, section 6.5.2): an empty pair is not
  /// free to keep.
  static let entryOverhead = 32
  static let maximumKeyBytes = 128

  /// The pairs in order.
  public private(set) var entries: [Entry] = []

  /// No pairs.
  public init() {}

  /// The pairs of the literal, in its order.
  public init(dictionaryLiteral elements: (String, String)...) {
    for (key, value) in elements { add(value, for: key) }
  }

  /// Whether there are no pairs.
  public var isEmpty: Bool { entries.isEmpty }

  /// The first value of `key`.
  public subscript(_ key: String) -> String? {
    let key = key.foldingASCII
    return entries.first { $0.key == key }?.value
  }

  /// All values of `key`, in order.
  public func values(for key: String) -> [String] {
    let key = key.foldingASCII
    return entries.lazy.filter { $0.key == key }.map(\.value)
  }

  /// Appends a pair, keeping earlier ones of the same key.
  public mutating func add(_ value: String, for key: String) {
    entries.append(Entry(key: key.foldingASCII, value: value))
  }

  /// Puts a pair in the place of all earlier ones of the same key.
  public mutating func replace(_ key: String, with value: String) {
    let key = key.foldingASCII
    entries.removeAll { $0.key == key }
    entries.append(Entry(key: key, value: value))
  }

  /// The size that limits count: the UTF-8 bytes of all keys and values, and 32 for each pair.
  public var byteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }

  /// Why these pairs cannot travel, or nil: `INVALID_ARGUMENT` for a bad key or value, `RESOURCE_EXHAUSTED` above `limit`.
  func fault(limit: Int) -> RPCError? {
    guard !entries.isEmpty else { return nil }
    for entry in entries {
      if let reason = entry.fault { return RPCError(.invalidArgument, reason) }
    }
    guard byteCount > limit else { return nil }
    return RPCError(.resourceExhausted, "metadata of \(byteCount) bytes is above the limit of \(limit)")
  }
}

extension Metadata.Entry {
  var byteCount: Int { key.utf8.count + value.utf8.count + Metadata.entryOverhead }

  /// What is wrong with the pair. Names the key and never the value, which may be a secret.
  var fault: String? {
    guard (1...Metadata.maximumKeyBytes).contains(key.utf8.count), key.utf8.allSatisfy(\.isMetadataKeyByte) else {
      let shown = String(key.unicodeScalars.prefix(Metadata.maximumKeyBytes)).debugDescription
      return "metadata key \(shown): a key is 1 to \(Metadata.maximumKeyBytes) bytes of a-z, 0-9, '-', '_' and '.'"
    }
    return value.utf8.contains(0) ? "metadata '\(key)': a value must not hold NUL; send bytes under a '-bin' key" : nil
  }
}

extension String {
  /// The text with A–Z in lower case. Not `lowercased()`: that makes an ASCII key of some text that is not, such as the
  /// Kelvin sign.
  fileprivate var foldingASCII: String {
    guard utf8.contains(where: { (0x41...0x5A).contains($0) }) else { return self }
    return String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}

extension UInt8 {
  fileprivate var isMetadataKeyByte: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
    default: false
    }
  }
}
