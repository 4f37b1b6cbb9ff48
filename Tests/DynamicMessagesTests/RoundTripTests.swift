import DynamicMessages
import Foundation
import ProtobufRuntime
import Schema
import TestSchema
import Testing

/// Random messages of every type go to JSON text and back by the descriptors alone, and are then, to the code that was
/// generated for their types, what they were.
@Suite struct RoundTripTests {
  private static let schemas = [
    (SchemaDescriptors.fileDescriptorSet, SchemaDescriptors.messageTypes),
    (TestSchemaDescriptors.fileDescriptorSet, TestSchemaDescriptors.messageTypes),
  ]

  @Test(arguments: [false, true]) func `messages survive JSON`(includesDefaults: Bool) throws {
    for (set, messageTypes) in Self.schemas {
      let types = try SchemaTypeSet(fileDescriptorSet: set)
      for type in messageTypes.map({ $0 as! any CMessageConvertible.Type }) {
        for seed in 0..<40 as Range<UInt64> {
          try survives(type, seed: seed, types, includesDefaults: includesDefaults)
        }
      }
    }
  }

  private func survives<M: CMessageConvertible>(
    _ type: M.Type, seed: UInt64, _ types: SchemaTypeSet, includesDefaults: Bool
  ) throws {
    var wire = RandomWire(seed: seed, style: seed % 2 == 0 ? .canonical : .wild)
    // As it came, with fields in any order, parts of messages, and elements in blocks and alone.
    let sent = wire.message(type)
    let message = try M(protobuf: sent)
    let json = try types.json(sent[...], as: M.protobufName, includesDefaults: includesDefaults)
    let text = try JSONEncoder().encode(json)
    let bytes = try types.bytes(try JSONDecoder().decode(JSONValue.self, from: text), as: M.protobufName)
    #expect(try M(protobuf: bytes) == message, "\(M.protobufName), seed \(seed)")
  }
}
