import ProtobufRuntime
import TestSchema
import Testing

// Proves that each decode limit is exact, counts over the whole message tree, and stops hostile bytes before they cost
// memory or stack, with messages written by hand at and just beyond the limit.
@Suite struct DecodeLimitTests {
  typealias Tree = ChanceryTestingV1.Tree
  typealias Packed = ChanceryTestingV1.Packed

  // MARK: Bytes

  @Test func `a message of exactly the largest size is accepted, one byte more is not`() throws {
    let bytes = try ChanceryTestingV1.Seal(signature: [UInt8](repeating: 1, count: 98)).protobufBytes()
    #expect(bytes.count == 100)
    _ = try ChanceryTestingV1.Seal(protobuf: bytes, limits: DecodeLimits(maximumBytes: 100))
    let error = #expect(throws: ProtobufError.self) {
      try ChanceryTestingV1.Seal(protobuf: bytes, limits: DecodeLimits(maximumBytes: 99))
    }
    #expect(error?.code == .tooLarge)
    #expect(error?.description == "chancery.testing.v1.Seal: 100 bytes exceed the limit of 99")
  }

  // MARK: Depth

  /// A tree of `depth` nodes, each inside the one before.
  private func nested(_ depth: Int, field: UInt64 = 2) -> [UInt8] {
    // Built from the inside out; each level adds a tag and a length, so the bytes are written backwards.
    var reversed: [UInt8] = []
    for _ in 1..<depth {
      let length = WireBytes.make { $0.varint(UInt64(reversed.count)) }
      reversed += length.reversed()
      reversed.append(UInt8(field << 3 | 2))
    }
    return reversed.reversed()
  }

  @Test(arguments: [2, 3, 5] as [UInt64])
  func `32 levels are accepted, 33 are not, through every kind of field`(field: UInt64) throws {
    _ = try Tree(protobuf: nested(32, field: field))
    let error = #expect(throws: ProtobufError.self) { try Tree(protobuf: nested(33, field: field)) }
    #expect(error?.code == .tooDeep)
    #expect(error?.fieldPath.count == 32)
  }

  @Test func `map entries count as a level`() throws {
    let inner = WireBytes.make { $0.message(7) { entry in entry.payload(2, []) } }
    _ = try ChanceryTestingV1.Maps(protobuf: inner, limits: DecodeLimits(maximumDepth: 3))
    #expect(throws: ProtobufError.self) {
      try ChanceryTestingV1.Maps(protobuf: inner, limits: DecodeLimits(maximumDepth: 2))
    }
  }

  @Test func `a depth bomb is refused before it can exhaust the stack`() {
    let bomb = nested(500_000)
    #expect(bomb.count < 4 << 20)
    let error = #expect(throws: ProtobufError.self) { try Tree(protobuf: bomb) }
    #expect(error?.code == .tooDeep)
  }

  @Test func `a depth bomb in an unknown field is skipped`() throws {
    let bytes = WireBytes.make { wire in
      wire.text(1, "leaf")
      wire.payload(1000, nested(100_000))
    }
    #expect(try Tree(protobuf: bytes) == Tree(name: "leaf"))
  }

  @Test func `the deepest nesting that may be allowed decodes`() throws {
    _ = try Tree(protobuf: nested(100), limits: DecodeLimits(maximumDepth: DecodeLimits.deepestNesting))
  }

  // MARK: Elements

  @Test func `a million packed elements are accepted, one more is not`() throws {
    let bytes = { (count: Int) in WireBytes.make { $0.payload(4, [UInt8](repeating: 1, count: count)) } }
    #expect(try Packed(protobuf: bytes(1_000_000)).int64S == [Int64](repeating: 1, count: 1_000_000))
    let error = #expect(throws: ProtobufError.self) { try Packed(protobuf: bytes(1_000_001)) }
    #expect(error?.code == .tooManyElements)
    #expect(error?.fieldPath == ["int64s"])
  }

  @Test func `a million strings and a million messages stay within the memory limit or are refused`() throws {
    let strings = [UInt8]((0..<1_000_000).flatMap { _ in [14 << 3 | 2, 0] as [UInt8] })
    #expect(try Packed(protobuf: strings).strings.count == 1_000_000)
    // Sixteen fields make a large C struct; the wire needs two bytes for each.
    let scalars = [UInt8]((0..<1_000_000).flatMap { _ in [14 << 3 | 2, 0] as [UInt8] })
    let error = #expect(throws: ProtobufError.self) { _ = try ChanceryTestingV1.Chunk(protobuf: scalars) }
    #expect(error?.code == .outOfMemory)
    let limits = DecodeLimits(maximumArenaBytes: 512 << 20)
    #expect(try ChanceryTestingV1.Chunk(protobuf: scalars, limits: limits).manyScalars.count == 1_000_000)
  }

  @Test func `elements are counted over all fields and nested messages together`() throws {
    let limits = DecodeLimits(maximumRepeatedCount: 6)
    let bytes = { (last: [UInt8]) in
      WireBytes.make { wire in
        wire.message(2) { $0.message(2) { _ in } }  // two children
        wire.message(3) { only in
          only.message(2) { _ in }  // one
          only.message(2) { _ in }  // two
          only.message(2) { _ in }  // three
        }
        wire.raw(last)
      }
    }
    let child = WireBytes.make { $0.message(2) { _ in } }
    _ = try Tree(protobuf: bytes(child), limits: limits)
    let error = #expect(throws: ProtobufError.self) { try Tree(protobuf: bytes(child + child), limits: limits) }
    #expect(error?.code == .tooManyElements)
  }

  @Test func `map entries and unpacked elements are counted`() {
    let entries = WireBytes.make { wire in for key in 0..<3 { wire.message(2) { $0.number(1, UInt64(key)) } } }
    #expect(throws: ProtobufError.self) {
      try ChanceryTestingV1.Maps(protobuf: entries, limits: DecodeLimits(maximumRepeatedCount: 2))
    }
    let numbers = WireBytes.make { wire in for _ in 0..<3 { wire.number(2, 5) } }
    #expect(throws: ProtobufError.self) {
      try ChanceryTestingV1.Unpacked(protobuf: numbers, limits: DecodeLimits(maximumRepeatedCount: 2))
    }
  }

  // MARK: Memory

  @Test func `the arena limit stops the unpacking`() {
    let bytes = WireBytes.make { $0.payload(4, [UInt8](repeating: 1, count: 100_000)) }
    let error = #expect(throws: ProtobufError.self) {
      try Packed(protobuf: bytes, limits: DecodeLimits(maximumArenaBytes: 400_000))
    }
    #expect(error?.code == .outOfMemory)
  }

  @Test func `many tiny unknown fields cost little memory`() throws {
    let unknown = WireBytes.make { wire in for _ in 0..<500_000 { wire.number(100, 1) } }
    let limits = DecodeLimits(maximumArenaBytes: 4 << 20)
    #expect(try ChanceryTestingV1.Seal(protobuf: unknown, limits: limits) == ChanceryTestingV1.Seal())
  }
}
