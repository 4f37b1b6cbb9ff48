import ProtobufRuntime
import TestSchema
import Testing

// Proves that repeated singular fields and unknown fields decode as the protobuf specification says, including the cases
// that libprotobuf-c 1.4.1 gets wrong by itself, with messages written by hand.
@Suite struct MergeTests {
  typealias Choice = ChanceryTestingV1.Choice
  typealias Presence = ChanceryTestingV1.Presence
  typealias Tree = ChanceryTestingV1.Tree

  @Test func `the last scalar wins`() throws {
    let bytes = WireBytes.make { wire in
      wire.number(3, 1)
      wire.text(14, "first")
      wire.payload(15, [1])
      wire.number(3, 2)
      wire.text(14, "second")
      wire.payload(15, [])
    }
    #expect(try ChanceryTestingV1.Scalars(protobuf: bytes) == .init(int32Value: 2, stringValue: "second"))
  }

  @Test func `singular messages merge, scalars of the first survive`() throws {
    let bytes = WireBytes.make { wire in
      wire.message(7) {
        $0.number(3, 5); $0.text(14, "kept")
      }
      wire.message(7) { $0.number(4, 6) }
    }
    let expected = Presence(scalars: .init(int32Value: 5, int64Value: 6, stringValue: "kept"))
    #expect(try Presence(protobuf: bytes) == expected)
  }

  @Test func `merging messages whose oneofs are not set works`() throws {
    let bytes = WireBytes.make { wire in
      wire.message(3) { $0.text(1, "name") }
      wire.message(3) { $0.message(2) { $0.text(1, "child") } }
    }
    #expect(try Tree(protobuf: bytes) == Tree(only: Tree(name: "name", children: [Tree(name: "child")])))
  }

  @Test func `nested duplicates merge at every level`() throws {
    let one = WireBytes.make { $0.message(3) { $0.message(3) { $0.text(1, "deep") } } }
    let two = WireBytes.make { $0.message(3) { $0.message(3) { $0.message(2) { _ in } } } }
    #expect(try Tree(protobuf: one + two) == Tree(only: Tree(only: Tree(name: "deep", children: [Tree()]))))
  }

  @Test func `repeated fields inside merged messages are concatenated`() throws {
    let one = WireBytes.make { $0.message(3) { $0.message(2) { $0.text(1, "a") } } }
    let two = WireBytes.make { $0.message(3) { $0.message(2) { $0.text(1, "b") } } }
    #expect(try Tree(protobuf: one + two).only?.children.map(\.name) == ["a", "b"])
  }

  @Test func `a later member of a oneof replaces an earlier one, of every type`() throws {
    let members: [(write: (inout WireBytes) -> Void, value: Choice.Value)] = [
      ({ $0.number(1, 7) }, .number(7)),
      ({ $0.text(2, "text") }, .text("text")),
      ({ $0.text(2, "") }, .text("")),
      ({ $0.payload(3, [1, 2, 3]) }, .blob([1, 2, 3])),
      ({ $0.payload(3, []) }, .blob([])),
      ({ $0.number(4, 0) }, .flag(false)),
      ({ $0.number(5, 1) }, .color(.red)),
      ({ $0.message(6) { $0.number(3, 5) } }, .scalars(.init(int32Value: 5))),
      ({ $0.message(6) { _ in } }, .scalars(.init())),
      ({ $0.message(7) { $0.text(8, "note") } }, .inner(Choice(note: "note"))),
      (
        {
          $0.tag(9, type: 5); $0.raw([0, 0, 0x80, 0x3f])
        }, .ratio(1)
      ),
    ]
    for first in members {
      for second in members {
        let bytes = WireBytes.make { wire in
          first.write(&wire)
          wire.text(8, "between")
          second.write(&wire)
        }
        let expected: Choice.Value =
          switch (first.value, second.value) {
          case (.scalars(let left), .scalars(let right)):
            .scalars(.init(int32Value: max(left.int32Value, right.int32Value)))
          default: second.value
          }
        #expect(try Choice(protobuf: bytes) == Choice(value: expected, note: "between"))
      }
    }
  }

  @Test func `a oneof message that was replaced in between does not merge`() throws {
    let bytes = WireBytes.make { wire in
      wire.message(6) { $0.number(3, 5) }
      wire.number(1, 1)
      wire.message(6) { $0.number(4, 6) }
    }
    #expect(try Choice(protobuf: bytes).value == .scalars(.init(int64Value: 6)))
    let ended = bytes + WireBytes.make { $0.number(1, 9) }
    #expect(try Choice(protobuf: ended).value == .number(9))
  }

  @Test func `a single-member oneof merges its message`() throws {
    let bytes = WireBytes.make { wire in
      wire.message(8) { $0.number(3, 5) }
      wire.message(8) { $0.number(4, 6) }
    }
    #expect(try Presence(protobuf: bytes).nested == .init(int32Value: 5, int64Value: 6))
  }

  @Test func `repeated numbers may be packed, unpacked and split`() throws {
    let bytes = WireBytes.make { wire in
      wire.payload(4, [1, 2])
      wire.number(4, 3)
      wire.payload(4, [])
      wire.payload(4, [4])
    }
    #expect(try ChanceryTestingV1.Packed(protobuf: bytes).int64S == [1, 2, 3, 4])
    let packed = WireBytes.make { $0.payload(2, [1, 2, 3]) }
    #expect(try ChanceryTestingV1.Unpacked(protobuf: packed).int32S == [1, 2, 3])
  }

  @Test func `the last entry of a map key wins and missing parts have their default`() throws {
    let bytes = WireBytes.make { wire in
      wire.message(1) {
        $0.text(1, "a"); $0.text(2, "1")
      }
      wire.message(1) {
        $0.text(2, "2"); $0.text(1, "a")
      }
      wire.message(1) { _ in }
      wire.message(3) { $0.number(1, 9) }
      wire.message(3) {
        $0.number(1, 10); $0.message(2) { $0.number(3, 1) }; $0.message(2) { $0.number(4, 2) }
      }
    }
    let maps = try ChanceryTestingV1.Maps(protobuf: bytes)
    #expect(maps.labels == ["a": "2", "": ""])
    #expect(maps.scalars == [9: .init(), 10: .init(int32Value: 1, int64Value: 2)])
  }

  @Test(arguments: [1, 64, 65, 1000])
  func `unknown fields of all wire types are skipped`(count: Int) throws {
    let bytes = WireBytes.make { wire in
      for index in 0..<count {
        let field = UInt64(100 + index)
        switch index % 4 {
        case 0: wire.number(field, .max)
        case 1:
          wire.tag(field, type: 1)
          wire.raw([UInt8](repeating: 0xff, count: 8))
        case 2: wire.payload(field, [0, 0xff, 0x80])
        default:
          wire.tag(field, type: 5)
          wire.raw([1, 2, 3, 4])
        }
        if index == count / 2 { wire.text(1, "known") }
      }
      wire.message(3) { $0.number(77, 1) }
    }
    let expected = Tree(name: "known", only: Tree())
    #expect(try Tree(protobuf: bytes) == expected)
    #expect(try Tree(protobuf: bytes).protobufBytes() == expected.protobufBytes())
  }
}
