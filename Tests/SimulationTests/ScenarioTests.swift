import Foundation
import Simulation
import Storage
import Testing

// Every scenario in Tests/Scenarios keeps every promise while its faults hit something; what a seed chooses can be written
// down and read again; and what makes no scenario is refused.
@Suite struct ScenarioTests {
  private static let directory = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Scenarios")

  private static let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()

  private func scenario(_ name: String) throws -> Scenario {
    let text = try String(contentsOf: Self.directory.appending(path: name), encoding: .utf8)
    return try Scenario(parsing: text, size: SimulatedRun.Size())
  }

  @Test(arguments: names) func holds(_ name: String) throws {
    let scenario = try scenario(name)
    let outcome = SimulatedRun().run(scenario)
    #expect(outcome.violations == [])
    #expect(outcome.faults.values.reduce(0, +) >= scenario.faults.count / 2)
  }

  @Test func thereAreSome() { #expect(Self.names.count >= 6) }

  @Test func anAnswerThatDeniesWhatIsStoredIsNoticed() throws {
    let outcome = SimulatedRun(sabotage: .deniedCommit).run(try scenario("lost-answers.scenario"))
    #expect(outcome.violations.contains { $0.hasPrefix("promise 12") })
  }

  @Test func whatASeedChoosesCanBeKept() throws {
    for seed in 1...50 as ClosedRange<UInt64> {
      let chosen = Scenario(seed: seed, size: SimulatedRun.Size())
      #expect(!chosen.faults.isEmpty)
      #expect(try Scenario(parsing: chosen.description, size: SimulatedRun.Size()) == chosen)
    }
    let size = SimulatedRun.Size()
    let kept = try Scenario(parsing: Scenario(seed: 9, size: size).description, size: size)
    #expect(SimulatedRun().run(kept).traceHash == SimulatedRun().run(seed: 9).traceHash)
  }

  @Test(arguments: [
    ("1000 cache_forgets", "'1000' is no number of ms"), ("5ms asteroid", "'asteroid' is no fault"),
    ("5ms signer_killed coordinator-1 for 9ms", "'coordinator-1' is no signer"),
    ("5ms signer_killed signer-9 for 9ms", "'signer-9' is no signer"),
    ("5ms signer_killed signer-1", "'for' is missing"),
    ("5ms resets 20 for 9ms", "'one of' is missing"), ("5ms key_disabled key 6 for 9ms", "'6' is no number in 1...5"),
    ("5ms cache_forgets for 9ms", "'for' is too much"), ("seed x", "'seed' is no number of ms"),
  ])
  func whatMakesNoneIsRefused(_ line: String, _ reason: String) {
    let error = #expect(throws: ScenarioError.self) { try Scenario(parsing: line, size: SimulatedRun.Size()) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("'\(line)'") == true)
  }
}
