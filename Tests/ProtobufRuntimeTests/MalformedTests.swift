import ProtobufRuntime
import TestSchema
import Testing

// Proves that bytes which are not the wire format of the message are refused with the right code, and never handed to
// libprotobuf-c, by writing each kind of damage by hand.
@Suite struct MalformedTests {
  typealias Scalars = ChanceryTestingV1.Scalars

  private func code(_ bytes: [UInt8]) -> ProtobufError.Code? {
    do {
      _ = try Scalars(protobuf: bytes)
      return nil
    } catch { return error.code }
  }

  @Test func `field numbers are from 1 to 2^29 - 1`() {
    #expect(code([0x00, 0x01]) == .malformed)
    #expect(code([0x80, 0x00, 0x01]) == .malformed)  // zero in two bytes, which libprotobuf-c accepts
    #expect(code(WireBytes.make { $0.number(536_870_911, 1) }) == nil)
    #expect(code(WireBytes.make { $0.number(536_870_912, 1) }) == .malformed)
    #expect(code([0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01]) == .malformed)
  }

  @Test(arguments: [3, 4] as [UInt64])
  func `groups are refused in known and unknown fields`(type: UInt64) {
    #expect(code(WireBytes.make { $0.tag(3, type: type) }) == .group)
    #expect(code(WireBytes.make { $0.tag(14, type: type) }) == .group)
    #expect(code(WireBytes.make { $0.tag(1000, type: type) }) == .group)
  }

  @Test(arguments: [6, 7] as [UInt64])
  func `wire types 6 and 7 do not exist`(type: UInt64) {
    #expect(code(WireBytes.make { $0.tag(3, type: type) }) == .malformed)
    #expect(code(WireBytes.make { $0.tag(1000, type: type) }) == .malformed)
  }

  @Test(arguments: [3, 1000] as [UInt64])
  func `varints end, and hold at most 64 bits`(field: UInt64) {
    let varint = { (bytes: [UInt8]) in
      WireBytes.make { wire in
        wire.tag(field, type: 0)
        wire.raw(bytes)
      }
    }
    #expect(code(varint([])) == .truncated)
    #expect(code(varint([0x80])) == .truncated)
    #expect(code(varint([UInt8](repeating: 0x80, count: 9))) == .truncated)
    #expect(code(varint([UInt8](repeating: 0x80, count: 9) + [0x00])) == nil)
    #expect(code(varint([UInt8](repeating: 0xff, count: 9) + [0x01])) == nil)
    #expect(code(varint([UInt8](repeating: 0xff, count: 9) + [0x02])) == .malformed)
    #expect(code(varint([UInt8](repeating: 0x80, count: 10) + [0x01])) == .malformed)
  }

  @Test(arguments: [14, 15, 1000] as [UInt64])
  func `lengths stay within the message`(field: UInt64) {
    let length = { (bytes: [UInt8]) in
      WireBytes.make { wire in
        wire.tag(field, type: 2)
        wire.raw(bytes)
      }
    }
    #expect(code(length([])) == .truncated)
    #expect(code(length([1])) == .truncated)
    #expect(code(length([5, 1, 2, 3, 4])) == .truncated)
    #expect(code(length([0xff, 0xff, 0xff, 0xff, 0x07])) == .truncated)
    #expect(code(length([0xff, 0xff, 0xff, 0xff, 0x7f])) == .truncated)
    #expect(code(length([0xff, 0xff, 0xff, 0xff, 0xff, 0x01])) == .malformed)
    #expect(code(length([UInt8](repeating: 0xff, count: 9) + [0x01])) == .malformed)
  }

  @Test func `fixed values are whole`() {
    for field in [9, 1000] as [UInt64] {
      #expect(
        code(
          WireBytes.make {
            $0.tag(field, type: 5); $0.raw([1, 2, 3])
          }) == .truncated)
    }
    for field in [10, 1000] as [UInt64] {
      #expect(
        code(
          WireBytes.make {
            $0.tag(field, type: 1); $0.raw([1, 2, 3, 4, 5, 6, 7])
          }) == .truncated)
    }
  }

  @Test func `a field has the wire type of its type`() {
    for field in 1...16 as ClosedRange<UInt64> {
      let own: UInt64 =
        switch field {
        case 1, 10, 12: 1
        case 2, 9, 11: 5
        case 14, 15: 2
        default: 0
        }
      for type in [0, 1, 2, 5] as [UInt64] {
        let bytes = WireBytes.make { wire in
          wire.tag(field, type: type)
          switch type {
          case 0: wire.varint(1)
          case 1: wire.raw([UInt8](repeating: 1, count: 8))
          case 2: wire.raw([1, 0x61])
          default: wire.raw([1, 1, 1, 1])
          }
        }
        #expect(code(bytes) == (type == own ? nil : .malformed), "field \(field) with wire type \(type)")
      }
    }
  }

  @Test func `packed fields hold whole elements`() {
    func packed(_ field: UInt64, _ content: [UInt8]) -> ProtobufError.Code? {
      do {
        _ = try ChanceryTestingV1.Packed(protobuf: WireBytes.make { $0.payload(field, content) })
        return nil
      } catch { return error.code }
    }
    for field in [2, 9, 11] as [UInt64] {
      #expect(packed(field, [UInt8](repeating: 0, count: 8)) == nil)
      #expect(packed(field, [UInt8](repeating: 0, count: 7)) == .malformed)
    }
    for field in [1, 10, 12] as [UInt64] {
      #expect(packed(field, [UInt8](repeating: 0, count: 16)) == nil)
      #expect(packed(field, [UInt8](repeating: 0, count: 12)) == .malformed)
    }
    for field in [3, 4, 5, 6, 7, 8, 13, 16] as [UInt64] {
      #expect(packed(field, []) == nil)
      #expect(packed(field, [1, 0x80, 0x01]) == nil)
      #expect(packed(field, [1, 0x80]) == .truncated)
      #expect(packed(field, [UInt8](repeating: 0xff, count: 9) + [0x01]) == nil)
      #expect(packed(field, [UInt8](repeating: 0xff, count: 9) + [0x02]) == .malformed)
      #expect(packed(field, [UInt8](repeating: 0x80, count: 10) + [0x01]) == .malformed)
    }
  }

  @Test func `errors name the way to the fault`() {
    let bytes = WireBytes.make { $0.message(2) { $0.message(4) { $0.message(1) { $0.tag(1, type: 0) } } } }
    let error = #expect(throws: ProtobufError.self) { try ChanceryTestingV1.Tree(protobuf: bytes) }
    #expect(error?.fieldPath == ["children", "detour", "tree", "name"])
    #expect(error?.messageName == "chancery.testing.v1.Tree")
    let unknown = #expect(throws: ProtobufError.self) { try Scalars(protobuf: [0x98, 0x06]) }
    #expect(unknown?.fieldPath == ["#99"])
  }
}
