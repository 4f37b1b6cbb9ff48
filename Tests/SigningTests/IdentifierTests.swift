import Domain
import Testing

// Proves that epochs and digests keep their bytes and their order through text and back.
@Suite struct IdentifierTests {
  @Test func epochsAreOrdered() {
    #expect(Epoch(rawValue: 1) < Epoch(rawValue: 2))
    #expect(Epoch(rawValue: 41).description == "41")
  }

  @Test func digestKeepsItsBytes() throws {
    let bytes = (0..<32).map { UInt8($0 * 7) }
    let digest = try #require(SHA256Digest(bytes))
    #expect(digest.bytes == bytes)
    #expect(digest.withBytes { Array($0) } == bytes)
    #expect(digest.description.hasPrefix("00070e15"))
    #expect(digest.description.count == 64)
    #expect(Set([digest, try #require(SHA256Digest(bytes))]).count == 1)
    #expect(SHA256Digest(bytes.dropLast()) == nil)
    #expect(SHA256Digest(bytes + [0]) == nil)
  }

  @Test(arguments: 0..<32)
  func digestsThatDifferInOneByteDiffer(_ position: Int) throws {
    var bytes = [UInt8](repeating: 9, count: 32)
    let digest = try #require(SHA256Digest(bytes))
    bytes[position] ^= 1
    #expect(SHA256Digest(bytes) != digest)
  }
}
