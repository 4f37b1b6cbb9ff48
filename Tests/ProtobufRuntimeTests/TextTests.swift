import ProtobufRuntime
import TestSchema
import Testing

// Proves that a string field holds valid UTF-8 without NUL in both directions, wherever strings may occur, by putting
// bad text at every offset of plain, repeated, oneof and map strings.
@Suite struct TextTests {
  /// Not UTF-8: a lone continuation, overlong forms, surrogates, beyond U+10FFFF, unfinished sequences.
  static let invalid: [[UInt8]] = [
    [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf],
    [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5], [0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98],
    [0xc3, 0x28], [0xe2, 0x28, 0xa1],
  ]

  /// Where a string may stand, and how the error names the place.
  private static let places: [(path: [String], message: @Sendable ([UInt8]) -> [UInt8], decode: Decode)] = [
    (
      ["string_value"], { text in WireBytes.make { $0.payload(14, text) } },
      { _ = try ChanceryTestingV1.Scalars(protobuf: $0) }
    ),
    (
      ["strings"], { text in WireBytes.make { $0.payload(14, text) } },
      { _ = try ChanceryTestingV1.Packed(protobuf: $0) }
    ),
    (["text"], { text in WireBytes.make { $0.payload(2, text) } }, { _ = try ChanceryTestingV1.Choice(protobuf: $0) }),
    (
      ["name"], { text in WireBytes.make { $0.payload(2, text) } }, { _ = try ChanceryTestingV1.Presence(protobuf: $0) }
    ),
    (
      ["labels", "key"], { text in WireBytes.make { $0.message(1) { $0.payload(1, text) } } },
      { _ = try ChanceryTestingV1.Maps(protobuf: $0) }
    ),
    (
      ["labels", "value"], { text in WireBytes.make { $0.message(1) { $0.payload(2, text) } } },
      { _ = try ChanceryTestingV1.Maps(protobuf: $0) }
    ),
    (
      ["inner", "scalars", "string_value"],
      { text in WireBytes.make { $0.message(7) { $0.message(6) { $0.payload(14, text) } } } },
      { _ = try ChanceryTestingV1.Choice(protobuf: $0) }
    ),
    (
      ["label"], { text in WireBytes.make { $0.payload(2, text) } },
      { _ = try ChanceryTestingV1.Chunk.View(protobuf: $0) }
    ),
  ]

  private typealias Decode = @Sendable ([UInt8]) throws -> Void

  @Test func `invalid UTF-8 is refused wherever it stands`() {
    for bad in Self.invalid {
      for offset in 0...17 {
        let text = [UInt8](repeating: 0x61, count: offset) + bad + [0x62, 0x63]
        for place in Self.places {
          let error = #expect(throws: ProtobufError.self) { try place.decode(place.message(text)) }
          #expect(error?.code == .invalidUTF8)
          #expect(error?.fieldPath == place.path)
        }
      }
    }
  }

  @Test func `NUL is refused wherever it stands`() {
    for offset in 0...17 {
      for tail in ["", "b", "bcdefghi", "é"] {
        let text = [UInt8](repeating: 0x61, count: offset) + [0] + Array(tail.utf8)
        for place in Self.places {
          let error = #expect(throws: ProtobufError.self) { try place.decode(place.message(text)) }
          #expect(error?.code == .embeddedNUL)
          #expect(error?.fieldPath == place.path)
        }
      }
    }
  }

  @Test(arguments: [
    "", "a", "\u{1}", "\u{7f}", "ÿ", "€uro", "𝔸", "\u{10ffff}", "e\u{301}", String(repeating: "ab€", count: 1000),
  ])
  func `valid text survives`(text: String) throws {
    for padding in 0...9 {
      let message = ChanceryTestingV1.Scalars(stringValue: String(repeating: "x", count: padding) + text)
      let decoded = try ChanceryTestingV1.Scalars(protobuf: message.protobufBytes())
      #expect(Array(decoded.stringValue.utf8) == Array(message.stringValue.utf8))
    }
  }

  @Test func `bytes fields take anything`() throws {
    let all = [UInt8](0...255)
    #expect(
      try ChanceryTestingV1.Scalars(protobuf: ChanceryTestingV1.Scalars(bytesValue: all).protobufBytes()).bytesValue
        == all)
  }

  // MARK: Encoding

  @Test func `a string with NUL is not encoded, and the error names the field`() {
    let bad = "a\0b"
    let cases: [(any ProtobufMessage, [String])] = [
      (ChanceryTestingV1.Scalars(stringValue: bad), ["string_value"]),
      (ChanceryTestingV1.Packed(strings: ["fine", bad]), ["strings"]),
      (ChanceryTestingV1.Choice(value: .text("\0")), ["text"]),
      (ChanceryTestingV1.Presence(name: bad), ["name"]),
      (ChanceryTestingV1.Maps(labels: [bad: "x"]), ["labels", "key"]),
      (ChanceryTestingV1.Maps(labels: ["x": bad]), ["labels", "value"]),
      (ChanceryTestingV1.Tree(children: [.init(), .init(only: .init(name: bad))]), ["children", "only", "name"]),
      (
        ChanceryTestingV1.Choice(value: .inner(.init(value: .scalars(.init(stringValue: bad))))),
        ["inner", "scalars", "string_value"]
      ),
    ]
    for (message, path) in cases {
      let error = #expect(throws: ProtobufError.self) { try message.protobufBytes() }
      #expect(error?.code == .embeddedNUL)
      #expect(error?.fieldPath == path)
      #expect(error?.messageName == type(of: message).protobufName)
    }
  }

  @Test func `the error shows the place and no content`() {
    let error = #expect(throws: ProtobufError.self) {
      try ChanceryTestingV1.Tree(only: .init(name: "hush\0")).protobufBytes()
    }
    #expect(
      error?.description
        == "chancery.testing.v1.Tree, field only.name: a string must not hold NUL; use a bytes field")
  }

  @Test func `strings that Swift bridges or slices encode like others`() throws {
    let slice = String("xxhello worldxx".dropFirst(2).dropLast(2))
    #expect(
      try ChanceryTestingV1.Scalars(protobuf: ChanceryTestingV1.Scalars(stringValue: slice).protobufBytes()).stringValue
        == "hello world")
  }
}
