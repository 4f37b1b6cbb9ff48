@testable import RPC

/// What can be read can be written, and is then read as the same.
func fuzzEnvelopes(_ bytes: [UInt8]) {
  let limit = 4096
  settle(bytes, { try? RequestEnvelope(parsing: $0[...], metadataLimit: limit) }) { $0.append(to: &$1) }
  settle(bytes, { try? ResponseEnvelope(parsing: $0[...], metadataLimit: limit) }) { $0.append(to: &$1) }
  settle(bytes, { try? Hello(parsing: $0[...]) }) { $0.append(to: &$1) }
  settle(bytes, { try? GoAway(parsing: $0[...]) }) { $0.append(to: &$1) }
  settle(bytes, { try? StreamEnd(parsing: $0[...], metadataLimit: limit) }) { $0.append(to: &$1) }
  settle(bytes, { try? Metadata(parsingHeaders: $0[...], limit: limit) }) { $1.appendMetadata(1, $0) }
  if let trace = TraceContext(["traceparent": String(decoding: bytes, as: UTF8.self)]) {
    var metadata = Metadata()
    trace.write(to: &metadata)
    require(TraceContext(metadata)?.traceID == trace.traceID)
  }
}

/// Writing may bring what was read into bounds (a long message is cut), but once only.
private func settle<Value: Equatable>(
  _ bytes: [UInt8], _ read: ([UInt8]) -> Value?, _ write: (Value, inout [UInt8]) -> Void
) {
  guard let first = read(bytes) else { return }
  var once: [UInt8] = []
  write(first, &once)
  guard let second = read(once) else { fatalError("\(Value.self): what was written cannot be read: \(once)") }
  var twice: [UInt8] = []
  write(second, &twice)
  require(once == twice, "\(Value.self): \(once) is then written as \(twice)")
  require(read(twice) == second, "\(Value.self) is read in two ways")
}
