import Domain
import Testing

/// Ids and bounded values: what is accepted, what is refused, and that text and bytes survive a round trip.
@Suite struct IdentifierTests {
  @Test func uuidTextRoundTrips() throws {
    let text = "0190a3c2-7d1e-4f00-8abc-def012345678"
    let id = try #require(JobID(text))
    #expect(id.description == text)
    #expect(JobID(bytes: id.bytes) == id)
    #expect(JobID(text.uppercased()) == id)
  }

  @Test(arguments: [
    "", "0190a3c2", "0190a3c27d1e4f008abcdef012345678", "0190a3c2-7d1e-4f00-8abc-def01234567",
    "g190a3c2-7d1e-4f00-8abc-def012345678",
    "0190a3c2-7d1e-4f00-8abc-def0123456789", "0190a3c-27d1e-4f00-8abc-def012345678",
    "é190a3c2-7d1e-4f00-8abc-def01234567",
  ])
  func otherTextIsNoUUID(_ text: String) {
    #expect(JobID(text) == nil)
  }

  @Test func idsAreOrderedAsTheirText() throws {
    let low = try #require(JobID("00000000-0000-0000-ffff-ffffffffffff"))
    let high = try #require(JobID("00000000-0000-0001-0000-000000000000"))
    #expect(low < high)
    #expect(JobID(bytes: [UInt8](repeating: 1, count: 15)) == nil)
  }

  @Test func boundedValuesKnowTheirBounds() {
    #expect(BatchSize(rawValue: 0) == nil && BatchSize(rawValue: -1) == nil && BatchSize(rawValue: 10_001) == nil)
    #expect(BatchSize(rawValue: 1) != nil && BatchSize(rawValue: 10_000) != nil)
    #expect(JobPriority(rawValue: 101) == nil && JobPriority(rawValue: -101) == nil)
    #expect(JobPriority(rawValue: 100) != nil && JobPriority(rawValue: -100) != nil)
    #expect(IdempotencyKey(rawValue: "") == nil)
    #expect(IdempotencyKey(rawValue: String(repeating: "x", count: 129)) == nil)
    #expect(IdempotencyKey(rawValue: "naïve") == nil && IdempotencyKey(rawValue: "a\nb") == nil)
    #expect(IdempotencyKey(rawValue: "invoices 2026-11") != nil)
  }

  @Test func serialIDsAreBigEndian() {
    #expect(KeyID(rawValue: 258).bytes == [0, 0, 0, 0, 0, 0, 1, 2])
  }
}
