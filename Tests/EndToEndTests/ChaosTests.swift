import Foundation
import Testing

// Proves on real processes that the promises hold under faults of every kind: `chancery chaos` runs a job under each, and says
// what it has seen of it. `make chaos` runs all there are.
@Suite("Promises hold under faults")
struct ChaosTests {
  @Test(arguments: [
    "signer-stopped-signed", "coordinator-killed-stored", "postgres-failover-synchronous", "redis-failover-lagging",
    "network-partition-signer-coordinators", "rolling-restart",
  ])
  func holds(under fault: String) async throws {
    let outcome = try await Program.run(
      Program.chancery, ["chaos", "--fault", fault, "--records", "40000", "-o", "json"], limit: .seconds(180))
    #expect(outcome.status == 0, "\(outcome.errors.suffix(1000))")
    let report = try outcome.json()
    #expect(report["violations"].number == 0 && report["faults"].number == 1)
    let verdict = report["verdicts"][0]
    #expect(verdict["fault"].text == fault)
    #expect((verdict["hits"].number ?? 0) > 0)
    #expect(verdict["signed"].number == 40_000 && verdict["verified"].number == 40_000)
  }

  @Test func aPrivateKeyThatLeaksIsFound() async throws {
    let outcome = try await Program.run(
      Program.chancery, ["chaos", "--fault", "second-job", "--records", "2000", "--leak-key", "-o", "json"],
      limit: .seconds(180))
    #expect(outcome.status == 3)
    let violations = try outcome.json()["verdicts"][0]["violations"].list.compactMap(\.text)
    #expect(violations.contains { $0.hasPrefix("promise 10") && $0.hasSuffix("leaked.pem") }, "\(violations)")
  }

  @Test func everyFaultIsListed() async throws {
    let outcome = try await Program.run(Program.chancery, ["chaos", "--list", "-o", "json"])
    #expect(outcome.status == 0)
    let names = try outcome.json().list.compactMap { $0["name"].text }
    #expect(names.count >= 30 && Set(names).count == names.count)
  }

  @Test func aFaultThatIsUnknownIsRefused() async throws {
    let outcome = try await Program.run(Program.chancery, ["chaos", "--fault", "asteroid"])
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("there is no fault 'asteroid': see 'chancery chaos --list'"))
  }
}
