import Testing

@testable import RPC

/// The hand-written coding agrees with protoc's of the same schema, in both directions, over seeded envelopes: protoc
/// encodes a text to the bytes that we write, we read those bytes, and protoc reads ours.
@Suite(.enabled(if: Protoc.isInstalled, "needs protoc at \(Protoc.path)"))
struct ProtocComparisonTests {
  private static let count: UInt64 = 300

  @Test func requests() throws {
    let envelopes = (0..<Self.count).map { RandomEnvelopes(seed: $0).request() }
    let encoded = envelopes.map { envelope in
      var bytes: [UInt8] = []
      envelope.append(to: &bytes)
      return bytes
    }
    let parts = try compare(encoded, envelopes.map(text), as: "ttrpc.Requests")
    #expect(try parts.map { try RequestEnvelope(parsing: $0, metadataLimit: .max) } == envelopes)
  }

  @Test func responses() throws {
    let envelopes = (0..<Self.count).map { RandomEnvelopes(seed: $0).response() }
    let encoded = envelopes.map { envelope in
      var bytes: [UInt8] = []
      envelope.append(to: &bytes)
      return bytes
    }
    let parts = try compare(encoded, envelopes.map(text), as: "ttrpc.Responses")
    #expect(try parts.map { try ResponseEnvelope(parsing: $0, metadataLimit: 0) } == envelopes)
  }

  /// Compares our bytes with protoc's for `texts`, and with what protoc reads in ours; returns protoc's envelopes.
  private func compare(_ encoded: [[UInt8]], _ texts: [String], as type: String) throws -> [ArraySlice<UInt8>] {
    var ours: [UInt8] = []
    for bytes in encoded { ours.appendMessage(1) { $0 += bytes } }
    let theirs = try Protoc.encode(texts.map { "all {\($0)}" }.joined(separator: "\n"), as: type)
    #expect(ours == theirs)
    #expect(try Protoc.encode(try Protoc.decode(ours, as: type), as: type) == ours)
    var reader = FieldReader(theirs[...])
    var parts: [ArraySlice<UInt8>] = []
    while case .bytes(number: 1, let range)? = try reader.next() { parts.append(theirs[range]) }
    return parts
  }

  // MARK: Protobuf's text format

  private func text(_ envelope: RequestEnvelope) -> String {
    var text = "service: \(quoted(envelope.name.service)) method: \(quoted(envelope.name.method)) "
    text += "payload: \(quoted(envelope.payload)) timeout_nano: \(envelope.timeoutNanoseconds) "
    for entry in envelope.metadata.entries {
      text += "metadata { key: \(quoted(entry.key.utf8)) value: \(quoted(entry.value.utf8)) } "
    }
    return text
  }

  private func text(_ envelope: ResponseEnvelope) -> String {
    var text = "payload: \(quoted(envelope.payload)) "
    guard let error = envelope.error else { return text }
    text += "status { code: \(error.code.rawValue) message: \(quoted(error.message.utf8)) "
    for detail in error.details {
      text += "details { type_url: \(quoted(detail.typeURL.utf8)) value: \(quoted(detail.value)) } "
    }
    return text + "}"
  }

  /// Every byte as an octal escape.
  private func quoted(_ bytes: some Sequence<UInt8>) -> String {
    let escapes = bytes.map { byte in
      let digits = String(byte, radix: 8)
      return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }
    return "\"\(escapes.joined())\""
  }
}
