import ProtobufRuntime
import TestSchema
import Testing

// Proves that a view shows the same fields as the decoded value, lends bytes that outlive the input, and keeps nested
// views, lists and bytes alive after the outer view is gone, by comparing both for messages with every kind of field.
@Suite struct ViewTests {
  typealias Chunk = ChanceryTestingV1.Chunk
  typealias Seal = ChanceryTestingV1.Seal

  private let full = Chunk(
    sequence: 7, label: "label", payload: [1, 2, 3], payloads: [[4], [], [5, 6]], recordIds: [-1, .max],
    checksums: [9, .max], flags: [true, false], colors: [.red, .unrecognized(5)], names: ["a", "", "ü"], color: .below,
    seal: Seal(signature: [7], keyID: "k"), seals: [Seal(), Seal(keyID: "l")], scalars: .init(int32Value: 3),
    manyScalars: [.init(), .init(boolValue: true)], counts: ["x": 1], started: 0, key: [], finalSeal: Seal(),
    quantity: .init(amount: 4, unit: .bytes, digits: [1, 2]), unit: .bytes)

  @Test func `every field reads as in the value`() throws {
    let view = try Chunk.View(protobuf: full.protobufBytes())
    #expect(view.sequence == 7)
    #expect(view.label == "label")
    #expect(view.withPayload { $0.withUnsafeBufferPointer { Array($0) } } == [1, 2, 3])
    #expect(view.payloads.map { $0.copied() } == [[4], [], [5, 6]])
    #expect(view.withRecordIds { $0.withUnsafeBufferPointer { Array($0) } } == [-1, .max])
    #expect(view.withChecksums { $0.withUnsafeBufferPointer { Array($0) } } == [9, .max])
    #expect(view.flags == [true, false])
    #expect(view.colors == [.red, .unrecognized(5)])
    #expect(view.names == ["a", "", "ü"])
    #expect(view.color == .below)
    #expect(view.seal?.copied() == full.seal)
    #expect(view.seals.map { $0.copied() } == full.seals)
    #expect(view.scalars == full.scalars)
    #expect(view.manyScalars == full.manyScalars)
    #expect(view.counts == ["x": 1])
    #expect(view.started == 0)
    #expect(view.key?.copied() == [])
    #expect(view.finalSeal?.copied() == Seal())
    #expect(view.body == nil)
    #expect(view.quantity?.withDigits { $0.count } == 2)
    #expect(view.unit == .bytes)
    #expect(view.copied() == full)
  }

  @Test func `an empty view has nothing but defaults`() throws {
    let view = try Chunk.View(protobuf: [])
    #expect(view.withPayload { $0.isEmpty } && view.withRecordIds { $0.isEmpty })
    #expect(view.payloads.isEmpty && view.seals.isEmpty)
    #expect(view.started == nil && view.key == nil && view.finalSeal == nil && view.seal == nil && view.body == nil)
    #expect(view.copied() == Chunk())
  }

  @Test func `oneof members read as views, bytes and values`() throws {
    func body(_ value: Chunk.Body) throws -> Chunk.View.Body? {
      try Chunk.View(protobuf: Chunk(body: value).protobufBytes()).body
    }
    guard case .oneSeal(let seal) = try body(.oneSeal(Seal(signature: [1]))) else { throw Unexpected() }
    #expect(seal.withSignature { $0[0] } == 1)
    guard case .plain(let scalars) = try body(.plain(.init(int32Value: 2))) else { throw Unexpected() }
    #expect(scalars.int32Value == 2)
    guard case .raw(let bytes) = try body(.raw([3, 4])) else { throw Unexpected() }
    #expect(bytes.count == 2 && bytes.withSpan { $0[1] } == 4)
    guard case .text("t") = try body(.text("t")) else { throw Unexpected() }
    guard case .number(-5) = try body(.number(-5)) else { throw Unexpected() }
    guard case .tint(.deepBlue) = try body(.tint(.deepBlue)) else { throw Unexpected() }
    guard case .yes(false) = try body(.yes(false)) else { throw Unexpected() }
    guard case .chunk(let chunk) = try body(.chunk(Chunk(label: "in"))) else { throw Unexpected() }
    #expect(chunk.label == "in")
  }

  @Test func `parts outlive the view, the input and each other`() throws {
    func parts() throws -> (Seal.View?, ArenaList<ArenaBytes>, ArenaBytes, ArenaList<Seal.View>) {
      let view = try Chunk.View(protobuf: full.protobufBytes(), wiping: true)
      return (view.seal, view.payloads, view.payloads[2], view.seals)
    }
    let (seal, payloads, bytes, seals) = try parts()
    // Other decoding reuses freed memory, if there is any.
    for _ in 0..<100 { _ = try Chunk.View(protobuf: full.protobufBytes(), wiping: true) }
    #expect(seal?.keyID == "k")
    #expect(payloads.map { $0.copied() } == [[4], [], [5, 6]])
    #expect(bytes.copied() == [5, 6])
    #expect(seals.last?.keyID == "l")
  }

  @Test func `a view can be read from many tasks`() async throws {
    let view = try Chunk.View(protobuf: full.protobufBytes())
    let sums = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 { group.addTask { view.payloads.reduce(0) { $0 + $1.count } + view.names.count } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(sums == [Int](repeating: 6, count: 8))
  }

  @Test func `errors pass through the closures`() throws {
    let view = try Chunk.View(protobuf: full.protobufBytes())
    #expect(throws: Unexpected.self) { try view.withPayload { (_) throws(Unexpected) -> Int in throw Unexpected() } }
    #expect(throws: Unexpected.self) {
      try view.payloads[0].withSpan { (_) throws(Unexpected) -> Int in throw Unexpected() }
    }
  }

  @Test func `limits hold for views`() throws {
    let bytes = try full.protobufBytes()
    let error = #expect(throws: ProtobufError.self) {
      try Chunk.View(protobuf: bytes, limits: DecodeLimits(maximumRepeatedCount: 3))
    }
    #expect(error?.code == .tooManyElements)
    #expect(throws: ProtobufError.self) { try Chunk.View(protobuf: bytes[..<(bytes.count - 1)]) }
  }

  @Test func `a view of duplicate messages shows the merged message`() throws {
    let bytes = try Chunk(seal: Seal(signature: [1])).protobufBytes() + Chunk(seal: Seal(keyID: "k")).protobufBytes()
    #expect(try Chunk.View(protobuf: bytes, wiping: true).seal?.copied() == Seal(signature: [1], keyID: "k"))
  }

  private struct Unexpected: Error {}
}
