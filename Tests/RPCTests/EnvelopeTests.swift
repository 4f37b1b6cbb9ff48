import Testing
import TimeAndChance

@testable import RPC

/// Envelopes survive coding and decoding, every truncation and mutation either decodes or throws, and each fault that the
/// reader names is provoked.
@Suite struct EnvelopeTests {
  @Test(arguments: 0..<300 as Range<UInt64>) func requests(seed: UInt64) throws {
    let envelope = RandomEnvelopes(seed: seed).request()
    var bytes: [UInt8] = []
    envelope.append(to: &bytes)
    #expect(try RequestEnvelope(parsing: bytes[...], metadataLimit: .max) == envelope)
    #expect(bytes.count <= envelope.maximumByteCount)
    #expect(bytes.count + 12 > envelope.maximumByteCount)
  }

  @Test(arguments: 0..<300 as Range<UInt64>) func responses(seed: UInt64) throws {
    let envelope = RandomEnvelopes(seed: seed).response()
    var bytes: [UInt8] = []
    envelope.append(to: &bytes)
    #expect(try ResponseEnvelope(parsing: bytes[...], metadataLimit: 16_384) == envelope)
    if envelope.error == nil { #expect(ResponseEnvelope.byteCount(ofReply: envelope.payload.count) == bytes.count) }
  }

  /// A slice need not begin at index 0.
  @Test func slices() throws {
    var bytes: [UInt8] = [1, 2, 3]
    let envelope = RandomEnvelopes(seed: 1).request()
    envelope.append(to: &bytes)
    #expect(try RequestEnvelope(parsing: bytes[3...], metadataLimit: .max) == envelope)
  }

  @Test func anEmptyEnvelopeIsAnEmptyOK() throws {
    #expect(try ResponseEnvelope(parsing: [], metadataLimit: 16_384) == ResponseEnvelope())
    // A status that says OK is the same as none.
    #expect(try ResponseEnvelope(parsing: [0x0A, 0], metadataLimit: 16_384) == ResponseEnvelope())
    #expect(
      try ResponseEnvelope(parsing: [0x0A, 3, 0x12, 1, 0x78, 0x12, 1, 5], metadataLimit: 16_384)
        == ResponseEnvelope(payload: [5]))
  }

  /// No prefix and no mutation crashes; a prefix that ends within a field throws.
  @Test(arguments: 0..<100 as Range<UInt64>) func damage(seed: UInt64) {
    let envelopes = RandomEnvelopes(seed: seed)
    var bytes: [UInt8] = []
    envelopes.request().append(to: &bytes)
    var response: [UInt8] = []
    envelopes.response().append(to: &response)
    for whole in [bytes, response] {
      guard !whole.isEmpty else { continue }
      for end in whole.indices.prefix(300) { readBoth(whole[..<end]) }
      for _ in 0..<50 {
        readBoth(whole[..<envelopes.random.next(below: whole.count)])
        var damaged = whole
        damaged[envelopes.random.next(below: whole.count)] = UInt8(truncatingIfNeeded: envelopes.random.next())
        readBoth(damaged[...])
      }
    }
  }

  private func readBoth(_ bytes: ArraySlice<UInt8>) {
    do {
      _ = try RequestEnvelope(parsing: bytes, metadataLimit: 10_000)
    } catch  where error.reason.isEmpty {
      Issue.record("a fault without a reason")
    } catch {}
    do {
      _ = try ResponseEnvelope(parsing: bytes, metadataLimit: 16_384)
    } catch  where error.reason.isEmpty {
      Issue.record("a fault without a reason")
    } catch {}
  }

  @Test(
    arguments: [
      ([0x0A], "truncated varint"), ([0x0A, 2, 1], "truncated field"), ([0x80], "truncated varint"),
      ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], "truncated field"),
      ([0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2], "varint above 64 bits"),
      ([0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], "varint above 64 bits"),
      ([0x00, 1], "bad field number"), ([0x02, 0], "bad field number"),
      ([0x80, 0x80, 0x80, 0x80, 0x20], "bad field number"),
      ([0x0B], "wire type 3"), ([0x0C], "wire type 4"), ([0x0E], "wire type 6"), ([0x0F], "wire type 7"),
      ([0x31, 1, 2, 3, 4, 5, 6, 7], "truncated field"), ([0x35, 1, 2, 3], "truncated field"),
      ([0x2A, 3, 0x0A, 1, 0x80], "text that is not UTF-8"), ([0x2A, 3, 0x12, 1, 0], "NUL in a text"),
      ([0x2A, 2, 0x0A, 5], "truncated field"),
    ] as [([UInt8], String)]) func requestFaults(bytes: [UInt8], reason: String)
  {
    #expect(throws: EnvelopeError(reason: reason)) { try RequestEnvelope(parsing: bytes[...], metadataLimit: .max) }
  }

  /// Unknown fields of every wire type, and known ones of another type, are skipped.
  @Test func unknownFields() throws {
    let unknown: [UInt8] = [
      0x30, 0x96, 0x01, 0x39, 1, 2, 3, 4, 5, 6, 7, 8, 0x3D, 1, 2, 3, 4, 0x42, 2, 9, 9, 0xB2, 0x06, 1, 7, 0x08, 1, 0x22,
      0,
    ]
    var bytes = unknown
    let envelope = RandomEnvelopes(seed: 7).request()
    envelope.append(to: &bytes)
    bytes += unknown
    #expect(try RequestEnvelope(parsing: bytes[...], metadataLimit: .max) == envelope)
    #expect(try ResponseEnvelope(parsing: unknown.dropLast(4)[...], metadataLimit: 16_384) == ResponseEnvelope())
  }

  /// A million pairs in one frame stop at the limit, not at the memory's end.
  @Test func manyPairs() {
    let bytes = [UInt8](repeating: 0, count: 2_000_000).enumerated().map { $0.offset % 2 == 0 ? 0x2A : $0.element }
    let error = #expect(throws: EnvelopeError.self) { try RequestEnvelope(parsing: bytes[...], metadataLimit: 16_384) }
    #expect(error?.code == .resourceExhausted)
  }

  /// Both ends count metadata alike, so that what a client lets pass is not refused by the server's decoder.
  @Test func metadataIsCountedAlike() throws {
    let envelope = RequestEnvelope(metadata: ["a": "", "key": "value", "long": String(repeating: "x", count: 300)])
    var bytes: [UInt8] = []
    envelope.append(to: &bytes)
    let size = envelope.metadata.byteCount
    #expect(envelope.metadata.fault(limit: size) == nil)
    #expect(try RequestEnvelope(parsing: bytes[...], metadataLimit: size) == envelope)
    #expect(envelope.metadata.fault(limit: size - 1)?.code == .resourceExhausted)
    #expect(throws: EnvelopeError.self) { try RequestEnvelope(parsing: bytes[...], metadataLimit: size - 1) }
  }

  /// What is kept of a status is bounded, and a sloppy text does not cost the code.
  @Test func foreignStatus() throws {
    let detail: [UInt8] = [0x1A, 0]
    let status = [0x08, 5, 0x12, 3, 0x61, 0, 0xFF] + Array(repeatElement(detail, count: 1000).joined())
    var bytes: [UInt8] = []
    bytes.appendField(1, status)
    let error = try #require(try ResponseEnvelope(parsing: bytes[...], metadataLimit: 16_384).error)
    #expect(error.code == .notFound)
    #expect(error.message == "a\0\u{FFFD}")
    #expect(error.details.count == RPCError.maximumDetails)
  }

  @Test(
    arguments: [
      (Duration.zero, -1), (.nanoseconds(-1), -1), (.seconds(-2), -2_000_000_000), (.nanoseconds(1), 1),
      (Duration(secondsComponent: 0, attosecondsComponent: 1), 1), (.milliseconds(1500), 1_500_000_000),
      (.seconds(Int64.max), .max), (.seconds(Int64.min), .min), (.seconds(9_223_372_036), 9_223_372_036_000_000_000),
      (.seconds(9_223_372_037), .max),
    ] as [(Duration, Int64)]) func timeouts(duration: Duration, nanoseconds: Int64)
  {
    #expect(duration.envelopeNanoseconds == nanoseconds)
  }
}
