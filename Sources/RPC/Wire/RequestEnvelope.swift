/// The payload of a Request frame: `service=1, method=2, payload=3, timeout_nano=4, metadata=5 {key=1, value=2}`.
///
/// The envelopes are coded by hand, not through protobuf-c: the payload is then a slice of the frame that arrived, the
/// names are compared without becoming strings, and a request is appended straight to the bytes that leave. Tests hold
/// them against protoc's own coding of the same schema.
struct RequestEnvelope: Hashable, Sendable {
  var name = MethodName()
  var payload: ArraySlice<UInt8> = []
  /// Relative; zero is none, negative is already expired.
  var timeoutNanoseconds: Int64 = 0
  var metadata = Metadata()

  /// Appends the envelope to `bytes`.
  func append(to bytes: inout [UInt8]) {
    bytes.appendField(1, name.service)
    bytes.appendField(2, name.method)
    bytes.appendField(3, payload)
    bytes.appendField(4, varint: UInt64(bitPattern: timeoutNanoseconds))
    bytes.appendMetadata(5, metadata)
  }

  /// The most bytes that the envelope can take, whatever its timeout.
  var maximumByteCount: Int {
    var count = [UInt8].byteCount(ofField: name.service.count) + [UInt8].byteCount(ofField: name.method.count)
    count += [UInt8].byteCount(ofField: payload.count) + Self.maximumTimeoutBytes
    for entry in metadata.entries {
      let pair = [UInt8].byteCount(ofField: entry.key.utf8.count) + [UInt8].byteCount(ofField: entry.value.utf8.count)
      count += [UInt8].byteCount(ofField: pair)
    }
    return count
  }

  private static let maximumTimeoutBytes = 11
}

extension RequestEnvelope {
  /// Reads `bytes`, ignoring unknown fields. Of a field that occurs twice the last counts.
  ///
  /// Metadata above `metadataLimit` (as `Metadata.byteCount` counts) throws as soon as it is, whatever else follows.
  init(parsing bytes: ArraySlice<UInt8>, metadataLimit: Int) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    var pairs = MetadataReader(limit: metadataLimit)
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): name.service = bytes[range]
      case .bytes(number: 2, let range): name.method = bytes[range]
      case .bytes(number: 3, let range): payload = bytes[range]
      case .varint(number: 4, let value): timeoutNanoseconds = Int64(bitPattern: value)
      case .bytes(number: 5, let range): try pairs.add(bytes[range])
      default: break
      }
    }
    metadata = pairs.metadata
  }
}
