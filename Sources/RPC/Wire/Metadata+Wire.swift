extension [UInt8] {
  /// Appends pairs as `repeated KeyValue {key=1, value=2}` under `number`.
  mutating func appendMetadata(_ number: UInt64, _ metadata: Metadata) {
    for entry in metadata.entries {
      appendMessage(number) { pair in
        pair.appendField(1, entry.key.utf8)
        pair.appendField(2, entry.value.utf8)
      }
    }
  }
}

/// Pairs as they are read, within a limit: above it (as `Metadata.byteCount` counts) reading throws at once, whatever else
/// follows.
struct MetadataReader {
  private(set) var metadata = Metadata()
  private let limit: Int
  private var room: Int

  init(limit: Int) {
    self.limit = limit
    room = limit
  }

  /// Adds the pair that `bytes` hold.
  mutating func add(_ bytes: ArraySlice<UInt8>) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    var key = ""
    var value = ""
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): key = try reader.text(range)
      case .bytes(number: 2, let range): value = try reader.text(range)
      default: break
      }
    }
    room -= key.utf8.count + value.utf8.count + Metadata.entryOverhead
    guard room >= 0 else {
      throw EnvelopeError(code: .resourceExhausted, reason: "metadata above the limit of \(limit) bytes")
    }
    metadata.add(value, for: key)
  }
}
