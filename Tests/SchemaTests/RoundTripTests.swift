import CProtobufC
import ProtobufRuntime
import Schema
import TestSchema
import Testing

// Proves that every message type of both schema trees packs and unpacks through libprotobuf-c without loss, by walking
// the generated registries with seeded random messages.
@Suite struct RoundTripTests {
  private static let types = (SchemaDescriptors.messageTypes + TestSchemaDescriptors.messageTypes)
    .map { $0 as! any CMessageConvertible.Type }

  @Test func `values survive encoding`() throws {
    for type in Self.types {
      for seed in 0..<200 as Range<UInt64> { try roundTrip(type, seed: seed) }
    }
  }

  @Test func `random messages reach every field`() throws {
    for type in Self.types {
      var seen: Set<UInt32> = []
      for seed in 0..<200 as Range<UInt64> {
        var wire = RandomWire(seed: seed, style: .canonical)
        let bytes = try type.init(protobuf: wire.message(type)).protobufBytes()
        seen.formUnion(try TopLevelFields.numbers(in: bytes))
      }
      #expect(seen == Set(type.descriptor.fields.map(\.id)), "\(type.protobufName)")
    }
  }

  @Test func `the names of the C descriptors are those of the types`() {
    for type in Self.types { #expect(type.descriptor.name == type.protobufName) }
  }

  private func roundTrip<M: CMessageConvertible>(_ type: M.Type, seed: UInt64) throws {
    var wire = RandomWire(seed: seed, style: seed % 2 == 0 ? .canonical : .wild)
    let message = try M(protobuf: wire.message(type))
    let bytes = try message.protobufBytes()
    let again = try M(protobuf: bytes)
    #expect(again == message, "\(M.protobufName), seed \(seed)")
    #expect(try again.protobufBytes() == bytes, "\(M.protobufName), seed \(seed)")
  }
}

/// A reader of wire format that shares nothing with the code under test.
private enum TopLevelFields {
  static func numbers(in bytes: [UInt8]) throws -> Set<UInt32> {
    var numbers: Set<UInt32> = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let tag = try varint(&rest)
      numbers.insert(UInt32(tag >> 3))
      switch tag & 7 {
      case 0: _ = try varint(&rest)
      case 1: rest = rest.dropFirst(8)
      case 2:
        let count = try varint(&rest)
        rest = rest.dropFirst(Int(count))
      default: rest = rest.dropFirst(4)
      }
    }
    return numbers
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) throws -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = rest.popFirst()
      let byte = try #require(next)
      value |= UInt64(byte & 0x7f) << shift
      guard byte > 0x7f else { return value }
      shift += 7
    }
  }
}
