import ProtobufRuntime
import TestSchema
import Testing

// Proves what encoding promises beyond the round trip: exact bytes of simple messages, defaults left out, presence kept,
// a bound on nesting, and determinism. Expected bytes are written by hand from the encoding specification.
@Suite struct EncodingTests {
  typealias Tree = ChanceryTestingV1.Tree

  @Test func `known messages have known bytes`() throws {
    let scalars = ChanceryTestingV1.Scalars(int32Value: -1, sint32Value: -2, boolValue: true, stringValue: "hé")
    #expect(
      try scalars.protobufBytes()
        == WireBytes.make { wire in
          wire.number(3, .max)
          wire.number(7, 3)
          wire.number(13, 1)
          wire.text(14, "hé")
        })
    let packed = ChanceryTestingV1.Packed(int32S: [1, 300], strings: ["", "a"], colors: [.below, .unrecognized(9)])
    #expect(
      try packed.protobufBytes()
        == WireBytes.make { wire in
          wire.payload(3, [1, 0xac, 0x02])
          wire.text(14, "")
          wire.text(14, "a")
          wire.payload(16, [UInt8](repeating: 0xff, count: 9) + [0x01, 9])
        })
    #expect(
      try ChanceryTestingV1.Unpacked(int32S: [0, 1]).protobufBytes()
        == WireBytes.make { wire in
          wire.number(2, 0)
          wire.number(2, 1)
        })
  }

  @Test func `a message of defaults is empty`() throws {
    for type in TestSchemaDescriptors.messageTypes { #expect(try type.init().protobufBytes() == []) }
  }

  @Test func `optional fields keep the difference between absent and default`() throws {
    let set = ChanceryTestingV1.Presence(
      deadline: 0, name: "", blob: [], flag: false, color: .unspecified, ratio: 0, scalars: .init(), nested: .init())
    let bytes = try set.protobufBytes()
    #expect(try ChanceryTestingV1.Presence(protobuf: bytes) == set)
    #expect(try ChanceryTestingV1.Presence(protobuf: []) == .init())
    #expect(set != .init())
  }

  @Test func `enum numbers that the schema does not name survive`() throws {
    let message = ChanceryTestingV1.Scalars(colorValue: .unrecognized(.min))
    #expect(try ChanceryTestingV1.Scalars(protobuf: message.protobufBytes()) == message)
    #expect(ChanceryTestingV1.Color(rawValue: 77) == .unrecognized(77))
    #expect(ChanceryTestingV1.Color.allCases.map(\.rawValue) == [0, 1, 2, -1])
    #expect(ChanceryTestingV1.Color.crimson == .red)
  }

  @Test func `maps are written in the order of their keys`() throws {
    let keys = (0..<50).map { "key\($0)" }
    let message = ChanceryTestingV1.Maps(
      labels: Dictionary(uniqueKeysWithValues: keys.map { ($0, "") }), colors: [true: .red, false: .deepBlue])
    let expected = WireBytes.make { wire in
      for key in keys.sorted() { wire.message(1) { $0.text(1, key) } }
      wire.message(4) { $0.number(2, 2) }
      wire.message(4) {
        $0.number(1, 1); $0.number(2, 1)
      }
    }
    #expect(try message.protobufBytes() == expected)
  }

  @Test func `nesting is bounded when encoding too`() throws {
    var tree = Tree()
    for _ in 1..<100 { tree = Tree(only: tree) }
    _ = try tree.protobufBytes()
    let error = #expect(throws: ProtobufError.self) { try Tree(children: [tree]).protobufBytes() }
    #expect(error?.code == .tooDeep)
    #expect(error?.fieldPath == ["children"] + [String](repeating: "only", count: 99))
  }

  @Test func `large messages encode`() throws {
    let message = ChanceryTestingV1.Chunk(
      payload: [UInt8](repeating: 7, count: 3 << 20), recordIds: (0..<100_000).map { Int64($0) })
    let decoded = try ChanceryTestingV1.Chunk(protobuf: message.protobufBytes())
    #expect(decoded == message)
  }

  @Test func `messages can contain themselves`() throws {
    let tree = Tree(
      name: "root", children: [Tree(name: "a"), Tree(children: [Tree()])], only: Tree(only: Tree(name: "b")),
      detour: .init(tree: Tree(name: "c")), maybe: Tree())
    #expect(try Tree(protobuf: tree.protobufBytes()) == tree)
    var copy = tree
    copy.only?.only?.name = "changed"
    #expect(tree.only?.only?.name == "b" && copy != tree)
    let choice = ChanceryTestingV1.Choice(value: .inner(.init(value: .inner(.init(value: .number(1))))))
    #expect(try ChanceryTestingV1.Choice(protobuf: choice.protobufBytes()) == choice)
  }

  @Test func `slices and spans decode like arrays`() throws {
    let bytes = try Tree(name: "x").protobufBytes()
    let padded = [0xff] + bytes + [0xff]
    #expect(try Tree(protobuf: padded[1..<padded.count - 1]) == Tree(name: "x"))
    #expect(try Tree(protobuf: bytes.span) == Tree(name: "x"))
  }
}
