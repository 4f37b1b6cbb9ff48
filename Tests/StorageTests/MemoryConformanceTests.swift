import StorageConformance
import Testing

// Proves that the in-memory stores do what every implementation does: each case of the conformance suite runs on a fresh
// database with a clock that only the case moves.
@Suite("The in-memory stores conform")
struct MemoryConformanceTests {
  @Test(arguments: ConformanceCase.all)
  func conforms(_ one: ConformanceCase) async throws {
    try await one.run(MemoryHarness())
  }
}
