import Domain
import Storage
import StorageConformance
import Synchronization
import TimeAndChance

/// The in-memory stores under test, with a clock that stands still unless a test moves it.
struct MemoryHarness: StorageHarness {
  let clock = ManualClock()
  let database: MemoryDatabase

  init() {
    database = MemoryDatabase(
      clock: clock, random: SeededRandom(seed: 7), startedAt: .testStart,
      policy: ConformanceCase.policy)
  }

  var store: any AllStores { database }

  func advance(by duration: Duration) { clock.advance(by: duration) }

  func addSource(named name: String, rows: [SourceRow]) throws -> Source {
    try database.addSource(named: name, rows: rows.map { ($0.id, $0.payload) })
  }

  func replaceRows(of source: Source, with rows: [SourceRow]) throws {
    try database.replaceRows(of: source, with: rows.map { ($0.id, $0.payload) })
  }

  func inflict(_ damage: Damage) {
    database.tamper { state in
      switch damage {
      case .lostSignature(let record): state.sources[0].remove(record.rawValue)
      case .secondSignature(let record):
        if let signature = state.sources[0].signatures[record.rawValue] { state.sources[0].insert(signature) }
      case .foreignSignature(let record, let key): state.sources[0].signatures[record.rawValue]?.keyID = key
      case .unknownLease(let job, let seq, let lease): state.jobs[job]?.batches[Int(seq)].leaseID = lease
      case .lateCommit(let job, let seq): state.jobs[job]?.batches[Int(seq)].signedTick = .max
      case .wrongCount(let job, let seq, let inserted): state.jobs[job]?.batches[Int(seq)].inserted = inserted
      case .batchSize(let job, let size):
        if let size = BatchSize(rawValue: size) { state.jobs[job]?.batchSize = size }
      }
    }
  }
}

/// A clock that a test moves. Who sleeps on it moves it too, and wakes at once.
final class ManualClock: ServiceClock {
  private let instant = Mutex(ContinuousClock.now)

  var now: ContinuousClock.Instant { instant.withLock { $0 } }
  var minimumResolution: Duration { .nanoseconds(1) }

  func advance(by duration: Duration) {
    instant.withLock { $0 = $0.advanced(by: duration) }
  }

  func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
    instant.withLock { $0 = max($0, deadline) }
  }
}
