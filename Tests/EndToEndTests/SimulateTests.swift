import Testing

// Proves that `chancery simulate` counts what it did, that a seed fails again as it failed, and that a broken promise is an
// exit code.
@Suite("Clusters can be simulated")
struct SimulateTests {
  @Test func seedsAreCounted() async throws {
    let outcome = try await Program.run(
      Program.chancery, ["simulate", "--seeds", "3", "--records", "100", "-o", "json"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try outcome.json()
    #expect(report["seeds"].number == 3 && report["violations"].number == 0 && report["failures"].list.isEmpty)
    #expect(report["distinct_traces"].number == 3)
    #expect(try #require(report["steps"].number) > 300)
    #expect(try #require(report["faults"]["signer_killed"].number) > 0)
  }

  @Test func aFailingSeedFailsAgain() async throws {
    func run(_ seeds: [String]) async throws -> Program.Outcome {
      try await Program.run(
        Program.chancery, ["simulate", "--records", "100", "--sabotage", "wrong_signature", "-o", "json"] + seeds)
    }
    let all = try await run(["--seeds", "3", "--from", "5"])
    #expect(all.status == 3 && all.errors.contains("promise_broken"))
    let failures = try all.json()["failures"]
    #expect(failures.list.count == 3 && failures[1]["seed"].number == 6)
    let again = try await run(["--seeds", "1", "--from", "6", "--trace"])
    #expect(try again.json()["failures"][0]["violations"][0].text == failures[1]["violations"][0].text)
    #expect(again.errors.contains("VIOLATION promise 3"))
  }

  @Test(arguments: [["--seeds", "0"], ["--records", "0"], ["--threads", "0"], ["--sabotage", "nothing"]])
  func badNumbers(arguments: [String]) async throws {
    let outcome = try await Program.run(Program.chancery, ["simulate"] + arguments)
    #expect(outcome.status == 64 && outcome.errors.contains(arguments[1]), "\(outcome.errors)")
  }
}
