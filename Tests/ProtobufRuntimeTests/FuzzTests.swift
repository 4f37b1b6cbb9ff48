import ProtobufRuntime
import TestSchema
import Testing

// Proves that no bytes crash the decoder and that whatever it accepts it also encodes and reads back the same, by
// mutating seeded random messages of every type. A failure prints the type and the seed.
@Suite struct FuzzTests {
  private static let types = TestSchemaDescriptors.messageTypes.map { $0 as! any CMessageConvertible.Type }

  @Test func `mutated messages decode or throw`() throws {
    var accepted = 0
    var refused = 0
    for type in Self.types {
      for seed in 0..<400 as Range<UInt64> {
        var wire = RandomWire(seed: seed, style: seed % 2 == 0 ? .canonical : .wild)
        var random = SplitMix64(seed: seed)
        let bytes = Mutation.apply(to: wire.message(type), using: &random)
        if try isAccepted(bytes, as: type, seed: seed) { accepted += 1 } else { refused += 1 }
      }
    }
    // Both ways must be exercised, or the mutations are too weak or too strong.
    #expect(accepted > 1000 && refused > 1000, "\(accepted) accepted, \(refused) refused")
  }

  @Test func `garbage decodes or throws`() throws {
    for type in Self.types {
      for seed in 0..<300 as Range<UInt64> {
        var random = SplitMix64(seed: seed)
        let count = Int.random(in: 0...60, using: &random)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        _ = try isAccepted(bytes, as: type, seed: seed)
      }
    }
  }

  @Test func `every prefix of a message decodes or throws`() throws {
    for type in Self.types {
      for seed in 0..<3 as Range<UInt64> {
        var wire = RandomWire(seed: seed, style: .wild, deepest: 3)
        let bytes = wire.message(type)
        for count in 0..<min(bytes.count, 400) { _ = try isAccepted(Array(bytes[..<count]), as: type, seed: seed) }
      }
    }
  }

  @Test func `views of mutated messages agree with values`() throws {
    for seed in 0..<2000 as Range<UInt64> {
      var wire = RandomWire(seed: seed, style: .wild)
      var random = SplitMix64(seed: seed)
      let bytes = Mutation.apply(to: wire.message(ChanceryTestingV1.Chunk.self), using: &random)
      let value = try? ChanceryTestingV1.Chunk(protobuf: bytes)
      let view = try? ChanceryTestingV1.Chunk.View(protobuf: bytes, wiping: seed % 2 == 0)
      #expect((value == nil) == (view == nil), "seed \(seed)")
      #expect(try view?.copied().protobufBytes() == value?.protobufBytes(), "seed \(seed)")
    }
  }

  /// - Throws: if what was accepted cannot be encoded.
  private func isAccepted(_ bytes: [UInt8], as type: any CMessageConvertible.Type, seed: UInt64) throws -> Bool {
    func roundTrip<M: ProtobufMessage>(_ type: M.Type) throws -> Bool {
      guard let message = try? M(protobuf: bytes) else { return false }
      let encoded = try message.protobufBytes()
      let again = try M(protobuf: encoded).protobufBytes()
      #expect(again == encoded, "\(M.protobufName), seed \(seed)")
      return true
    }
    return try roundTrip(type)
  }
}

/// Damage to bytes.
private enum Mutation {
  static func apply(to original: [UInt8], using random: inout SplitMix64) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let at = Int.random(in: 0...bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1 where at < bytes.count: bytes[at] = [0x00, 0x7f, 0x80, 0xff].randomElement(using: &random)!
      case 2: bytes.removeSubrange(at...)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
      case 4 where at < bytes.count: bytes.remove(at: at)
      case 5:
        let end = Int.random(in: at...bytes.count, using: &random)
        bytes += bytes[at..<end]
      default: break
      }
    }
    return bytes
  }
}
