import Testing

@testable import RPC

/// The payloads of the frames that extend ttrpc: what is written is read again, what is absent has its default, what is out
/// of range is brought into it, and what cannot be read is refused.
@Suite struct ExtensionFrameTests {
  private func bytes(_ append: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes: [UInt8] = []
    append(&bytes)
    return bytes
  }

  @Test func helloRoundTrips() throws {
    let hello = Hello(
      version: 3, features: 5, maximumFrame: 1 << 20, maximumMessage: 1 << 26, streamWindow: 7, connectionWindow: 9,
      maximumCalls: 11, minimumPingInterval: 13)
    #expect(try Hello(parsing: bytes(hello.append)[...]) == hello)
  }

  @Test func anAbsentFieldHasItsDefault() throws {
    let hello = try Hello(parsing: [])
    #expect(hello == Hello())
    #expect(hello.streamWindow == 64 * 1024 && hello.maximumFrame == 4 * 1024 * 1024)
  }

  @Test func numbersAreBroughtIntoRange() throws {
    let numbers = bytes { bytes in
      for number in [3, 4, 5, 6, 7, 8] as [UInt64] { bytes.appendField(number, varint: .max) }
      bytes.appendField(99, varint: 1)
    }
    let large = try Hello(parsing: numbers[...])
    #expect(large.maximumFrame == Int(Int32.max) && large.minimumPingInterval == Int(Int32.max))
    let small = try Hello(parsing: bytes { $0.appendField(3, varint: 1) }[...])
    #expect(small.maximumFrame == Hello.leastFrame)
    // A window of zero written out, as no protobuf writer would.
    #expect(try Hello(parsing: [5 << 3, 0]).streamWindow == 1)
    #expect(throws: EnvelopeError.self) { try Hello(parsing: [1 << 3, 0]) }
  }

  @Test func goAwayRoundTrips() throws {
    let goAway = GoAway(lastID: StreamID(7), code: .resourceExhausted, message: "too many pings")
    #expect(try GoAway(parsing: bytes(goAway.append)[...]) == goAway)
    #expect(try GoAway(parsing: []) == GoAway(lastID: .none, code: .ok))
  }

  @Test func endsRoundTrip() throws {
    let error = RPCError(.notFound, "no", details: [ErrorDetail(typeURL: "t", value: [1])])
    for end in [
      StreamEnd(), StreamEnd(error: error), StreamEnd(trailers: ["a": "b", "a": "c"]),
      StreamEnd(error: error, trailers: ["a-bin": "AA"]),
    ] {
      #expect(try StreamEnd(parsing: bytes(end.append)[...], metadataLimit: 1000) == end)
    }
  }

  @Test func headersRoundTrip() throws {
    let metadata: Metadata = ["a": "1", "b": ""]
    #expect(try Metadata(parsingHeaders: bytes { $0.appendMetadata(1, metadata) }[...], limit: 100) == metadata)
  }

  @Test func metadataAboveTheLimitIsRefused() {
    let payload = bytes { $0.appendMetadata(1, ["key": "value"]) }[...]
    let expected = EnvelopeError(code: .resourceExhausted, reason: "metadata above the limit of 39 bytes")
    #expect(throws: expected) { try Metadata(parsingHeaders: payload, limit: 39) }
  }

  @Test(arguments: [[0x0A, 5, 1], [0x08], [0xFF], [0x0B]] as [[UInt8]]) func garbageIsRefused(garbage: [UInt8]) {
    #expect(throws: EnvelopeError.self) { try Hello(parsing: garbage[...]) }
    #expect(throws: EnvelopeError.self) { try GoAway(parsing: garbage[...]) }
    #expect(throws: EnvelopeError.self) { try StreamEnd(parsing: garbage[...], metadataLimit: 100) }
    #expect(throws: EnvelopeError.self) { try Metadata(parsingHeaders: garbage[...], limit: 100) }
  }

  /// Metadata of a reply stands in fields that plain peers ignore.
  @Test func responsesCarryMetadata() throws {
    let response = ResponseEnvelope(payload: [1], headers: ["a": "1"], trailers: ["b": "2"])
    let bytes = bytes(response.append)
    #expect(bytes == [0x12, 1, 1, 0xA2, 6, 6, 10, 1, 97, 18, 1, 49, 0xAA, 6, 6, 10, 1, 98, 18, 1, 50])
    #expect(try ResponseEnvelope(parsing: bytes[...], metadataLimit: 100) == response)
  }
}
