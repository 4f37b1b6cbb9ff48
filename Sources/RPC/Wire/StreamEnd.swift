/// The payload of an END frame, which ends a reply stream of an extended call: `status=1 google.rpc.Status, trailers=2`.
struct StreamEnd: Hashable, Sendable {
  var error: RPCError?
  var trailers = Metadata()

  /// Appends the message; an error is made to fit (`RPCError.fittedForWire`).
  func append(to bytes: inout [UInt8]) {
    bytes.appendStatus(1, error)
    bytes.appendMetadata(2, trailers)
  }
}

extension StreamEnd {
  /// Reads `bytes`, ignoring unknown fields. Metadata above `metadataLimit` throws.
  init(parsing bytes: ArraySlice<UInt8>, metadataLimit: Int) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    var pairs = MetadataReader(limit: metadataLimit)
    while let field = try reader.next() {
      switch field {
      case .bytes(number: 1, let range): error = try RPCError.status(parsing: bytes[range])
      case .bytes(number: 2, let range): try pairs.add(bytes[range])
      default: break
      }
    }
    trailers = pairs.metadata
  }
}

extension Metadata {
  /// Reads the payload of a HEADERS frame: `headers=1 repeated KeyValue`.
  init(parsingHeaders bytes: ArraySlice<UInt8>, limit: Int) throws(EnvelopeError) {
    var reader = FieldReader(bytes)
    var pairs = MetadataReader(limit: limit)
    while let field = try reader.next() {
      if case .bytes(number: 1, let range) = field { try pairs.add(bytes[range]) }
    }
    self = pairs.metadata
  }
}
