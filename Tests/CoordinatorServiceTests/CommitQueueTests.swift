import Domain
import Simulation
import Storage
import Synchronization
import Telemetry
import Testing
import TimeAndChance

@testable import CoordinatorService

// Proves when results are stored together: those that come while a call of the store is under way wait for it, unless they are
// a crowd. A store in memory whose every call takes ten milliseconds of virtual time.
@Suite("Results wait for the call under way unless they are a crowd")
struct CommitQueueTests {
  @Test func aFewResultsWaitForTheCallUnderWay() throws {
    let calls = try millisecondsOfCalls(storing: [1, 3])
    #expect(calls == [0, 10])
  }

  @Test func aCrowdDoesNotWait() throws {
    let calls = try millisecondsOfCalls(storing: [1, 4])
    #expect(calls == [0, 1])
  }

  @Test func noMoreCallsAreMadeThanMayBeUnderWay() throws {
    let calls = try millisecondsOfCalls(storing: [1, 4, 4, 4])
    #expect(calls == [0, 1, 10])
  }

  private final class Calls: Sendable {
    let starts = Mutex<[ContinuousClock.Instant]>([])
  }

  /// Hands in groups of results, a millisecond apart, and says when the store was called.
  private func millisecondsOfCalls(storing groups: [Int]) throws -> [Int64] {
    let world = World(seed: 1)
    let calls = Calls()
    let store = MemoryDatabase(clock: world.clock, random: world.random, startedAt: Timestamp(rawValue: 0)).faulty {
      calls.starts.withLock { $0.append(world.clock.now) }
      try? await world.clock.sleep(for: .milliseconds(10))
      return .made
    }
    let queue = CommitQueue(
      store: store, clock: world.clock, random: world.random, observer: NoObserver(), options: CoordinatorOptions())
    let began = world.clock.now
    try world.run {
      await withTaskGroup(of: Void.self) { running in
        running.addTask { await queue.run() }
        await withTaskGroup(of: Void.self) { results in
          var seq: Int32 = 0
          for count in groups {
            for _ in 0..<count {
              results.addTask { [seq] in #expect(await queue.commit(result(seq)) == .refused(.staleAttempt)) }
              seq += 1
            }
            try? await world.clock.sleep(for: .milliseconds(1))
          }
        }
        running.cancelAll()
      }
    }
    return calls.starts.withLock { starts in
      starts.map { began.duration(to: $0).components.attoseconds / 1_000_000_000_000_000 }
    }
  }

  /// Of a batch that does not exist.
  private func result(_ seq: Int32) -> SignedBatch {
    let id = [UInt8](repeating: 7, count: 16)
    return SignedBatch(
      batch: BatchAttempt(jobID: JobID(bytes: id)!, seq: seq, attempt: 1), signer: SignerID(bytes: id)!,
      keyID: KeyID(rawValue: 1), epoch: Epoch(rawValue: 1), leaseID: LeaseID(bytes: id)!, recordIDs: [1],
      signatureSizes: [1], signatures: [1], payloadDigests: [UInt8](repeating: 1, count: 32), form: .raw,
      failures: [])
  }
}
