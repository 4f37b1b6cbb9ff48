import StorageConformance
import Testing

// Proves that the Postgres stores do what every implementation does: each case of the conformance suite runs on a fresh
// database of a private server, and every call is made as the role of its service, so that the rights of the roles suffice.
@Suite("The Postgres stores conform")
struct PostgresConformanceTests {
  @Test(arguments: ConformanceCase.all)
  func conforms(_ one: ConformanceCase) async throws {
    try await PostgresHarness.with { harness in try await one.run(harness) }
  }
}
