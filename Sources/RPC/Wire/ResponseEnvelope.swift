/// The payload of a Response frame: `status=1 google.rpc.Status, payload=2`, and of the extensions `headers=100` and
/// `trailers=101`, which plain peers ignore. An absent status means OK, so that an empty frame is OK with an empty message.
struct ResponseEnvelope: Hashable, Sendable {
  var error: RPCError?
  var payload: ArraySlice<UInt8> = []
  var headers = Metadata()
  var trailers = Metadata()

  /// The bytes of the envelope of a reply without an error and metadata.
  static func byteCount(ofReply count: Int) -> Int { [UInt8].byteCount(ofField: count) }

  /// Appends the envelope to `bytes`; an error is made to fit (`RPCError.fittedForWire`).
  func append(to bytes: inout [UInt8]) {
    bytes.appendStatus(1, error)
    bytes.appendField(2, payload)
    bytes.appendMetadata(100, headers)
    bytes.appendMetadata(101, trailers)
  }
}

extension ResponseEnvelope {
  /// Reads `bytes`, ignoring unknown fields. Of a field that occurs twice the last counts. Metadata above `metadataLimit`
  /// throws.
  init(parsing bytes: ArraySlice<UInt8>, metadataLimit: Int) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    var headers = MetadataReader(limit: metadataLimit)
    var trailers = MetadataReader(limit: metadataLimit)
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): error = try RPCError.status(parsing: bytes[range])
      case .bytes(number: 2, let range): payload = bytes[range]
      case .bytes(number: 100, let range): try headers.add(bytes[range])
      case .bytes(number: 101, let range): try trailers.add(bytes[range])
      default: break
      }
    }
    self.headers = headers.metadata
    self.trailers = trailers.metadata
  }
}
