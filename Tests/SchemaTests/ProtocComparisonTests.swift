import ProtobufRuntime
import Schema
import TestSchema
import Testing

// Proves that every message type of both schema trees means the same to this code as to protobuf's own protoc: seeded
// random messages are decoded and encoded here and read by protoc, whose text and bytes must agree. Needs protoc.
@Suite struct ProtocComparisonTests {
  static let types: [(type: any CMessageConvertible.Type, protoc: Protoc)] =
    SchemaDescriptors.messageTypes.map { ($0 as! any CMessageConvertible.Type, Protoc.shipped) }
    + TestSchemaDescriptors.messageTypes.map { ($0 as! any CMessageConvertible.Type, Protoc.tests) }

  @Test func `what an encoder writes is encoded again byte by byte`() throws {
    for (type, protoc) in Self.types where !Self.holdsMaps(type) {
      for seed in 0..<protoc.seeds {
        var wire = RandomWire(seed: seed, style: .canonical)
        let text = try protoc.decode(wire.message(type), as: type.protobufName)
        let bytes = try protoc.encode(text, as: type.protobufName)
        #expect(try type.init(protobuf: bytes).protobufBytes() == bytes, "\(type.protobufName), seed \(seed)")
      }
    }
  }

  @Test func `what only a peer would write means the same`() throws {
    for (type, protoc) in Self.types {
      for seed in 0..<2 * protoc.seeds {
        var wire = RandomWire(seed: seed, style: .wild)
        try expectSameMeaning(wire.message(type), type, protoc, seed)
      }
    }
  }

  @Test func `concatenated messages merge as in protoc`() throws {
    for (type, protoc) in Self.types {
      for seed in 0..<protoc.seeds {
        var wire = RandomWire(seed: seed, style: .canonical)
        try expectSameMeaning(wire.message(type) + wire.message(type) + wire.message(type), type, protoc, seed)
      }
    }
  }

  @Test func `floating-point values of every kind survive`() throws {
    let values: [Double] = [.infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1, -1]
    let message = ChanceryTestingV1.Packed(doubles: values + [-0.0], floats: values.map { Float($0) } + [-0.0])
    let bytes = try message.protobufBytes()
    let text = try Protoc.tests.decode(bytes, as: ChanceryTestingV1.Packed.protobufName)
    #expect(try Protoc.tests.encode(text, as: ChanceryTestingV1.Packed.protobufName) == bytes)
    #expect(try ChanceryTestingV1.Packed(protobuf: bytes).protobufBytes() == bytes)
  }

  private func expectSameMeaning(
    _ bytes: [UInt8], _ type: any CMessageConvertible.Type, _ protoc: Protoc, _ seed: UInt64
  ) throws {
    let again = try type.init(protobuf: bytes).protobufBytes()
    let text = try protoc.decode(bytes, as: type.protobufName)
    if Self.holdsMaps(type) {
      // protoc prints every entry it was given, so its text is read back instead of compared.
      let theirs = try protoc.encode(text, as: type.protobufName)
      #expect(try type.init(protobuf: theirs).protobufBytes() == again, "\(type.protobufName), seed \(seed)")
    } else {
      #expect(try protoc.decode(again, as: type.protobufName) == text, "\(type.protobufName), seed \(seed)")
    }
  }

  /// protoc writes map entries in no particular order, and always both key and value.
  private static func holdsMaps(_ type: any CMessageConvertible.Type) -> Bool {
    type == ChanceryTestingV1.Maps.self || type == ChanceryTestingV1.Chunk.self
  }
}
