import Simulation
import Storage
import Testing

/// Clusters under faults keep every promise; a seed decides everything; and a checker that is shown a broken promise sees it.
@Suite struct FaultTests {
  @Test func everyPromiseHoldsUnderFaults() {
    var hits: [Fault: Int] = [:]
    var hashes: Set<UInt64> = []
    for seed in 1...20 as ClosedRange<UInt64> {
      let outcome = SimulatedRun().run(seed: seed)
      #expect(outcome.violations == [], "seed \(seed)")
      hits.merge(outcome.faults) { $0 + $1 }
      hashes.insert(outcome.traceHash)
    }
    #expect(hashes.count == 20)
    for fault in Fault.allCases { #expect(hits[fault, default: 0] > 0, "\(fault) never hit anything") }
  }

  @Test func aSeedDecidesEverything() {
    let first = SimulatedRun().run(seed: 77)
    let second = SimulatedRun().run(seed: 77)
    #expect(first.traceHash == second.traceHash && first.steps == second.steps && first.faults == second.faults)
    #expect(first.steps > 1000)
  }

  /// Each way of breaking the store is noticed within a few seeds, and says which promise was broken.
  @Test(arguments: [
    (Sabotage.unfencedCommit, "promise 4"), (.blindCommit, "promise 2"), (.lostRecord, "promise 1"),
    (.wrongSignature, "promise 3"), (.mixedKeys, "promise 5"), (.mostRecentlyUsed, "promise 6"),
    (.lostRecord, "promise 7"), (.forgottenSignature, "promise 8"), (.changedBatchSize, "promise 9"),
    (.neverReclaimed, "promise 11"), (.deniedCommit, "promise 12"),
  ]) func aBrokenPromiseIsNoticed(sabotage: Sabotage, promise: String) {
    for seed in 1...40 as ClosedRange<UInt64> {
      let outcome = SimulatedRun(sabotage: sabotage).run(seed: seed)
      if outcome.violations.contains(where: { $0.hasPrefix(promise) }) {
        #expect(!outcome.trace.isEmpty)
        return
      }
    }
    Issue.record("\(sabotage) was never noticed as a breach of \(promise)")
  }
}
