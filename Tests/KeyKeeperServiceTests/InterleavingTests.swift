import Domain
import KeyKeeperService
import RPC
import Schema
import Storage
import Synchronization
import TestWorld
import Testing
import TimeAndChance

/// Callers at two KeyKeepers acquire, renew, release, forget and cancel at random, while the order of all steps follows from a
/// seed. After each seed: no key was ever usable by two holders at once (invariant 4), every grant took the least recently
/// used free key (invariant 6), and all keys are free in the end. With faults on top, no invariant gives way; only what a
/// rebuilt cache cannot know may be undecidable.
@Suite struct InterleavingTests {
  @Test(arguments: [1..<51, 51..<101, 101..<151, 151..<201]) func withoutFaults(seeds: Range<UInt64>) throws {
    for seed in seeds {
      try KeeperRig.run(seed: seed, keepers: 2) { rig in
        let possession = Possession(rig)
        try await play(rig, possession)
        let finding = try await rig.leastRecentlyUsed()
        #expect(finding.undecidable == 0, "seed \(seed): \(finding.undecidable) of \(finding.checked)")
        try await check(rig, possession, finding, seed)
      }
    }
  }

  @Test(arguments: [201..<226, 226..<251]) func withFaults(seeds: Range<UInt64>) throws {
    let hits = Trace<String>()
    for seed in seeds {
      try KeeperRig.run(seed: seed, keepers: 2) { rig in
        rig.interposer.set { step, moment throws(StorageError) in
          try? await rig.pass(.microseconds(rig.random.next(below: 3000)))
          switch (moment, rig.random.next(below: 1000)) {
          case (.before, 0..<20):
            hits.append("\(step) refused")
            throw StorageError(.unavailable, "no connection")
          case (.after, 0..<20):
            hits.append("\(step) lost")
            throw StorageError(.outcomeUnknown, "the connection was lost")
          case (.after, 20..<23):
            hits.append("forgotten")
            rig.cache.forget()
          default: break
          }
        }
        let possession = Possession(rig)
        try await play(rig, possession)
        try await check(rig, possession, try await rig.leastRecentlyUsed(), seed)
        if rig.observer.events.count(where: { $0 == "cache.rebuilt" }) > 1 { hits.append("rebuilt") }
      }
    }
    // A fault counts only if it hit.
    let expected = ["take", "grant", "endLeases", "release", "renew"].flatMap { ["\($0) refused", "\($0) lost"] }
    #expect(Set(hits.entries).isSuperset(of: expected + ["forgotten", "rebuilt"]))
  }

  /// The check of exclusive use fails when it should: here a key is made free while somebody holds it.
  @Test func aKeyThatIsFreedInUseIsNoticed() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      try KeeperRig.run(seed: seed, keepers: 2) { rig in
        let possession = Possession(rig)
        rig.interposer.set { step, moment throws(StorageError) in
          guard step == "grant", moment == .after, let lease = possession.held else { return }
          _ = try await rig.database.endLeases([lease])
          _ = try await rig.cache.release([lease], algorithm: .ed25519)
        }
        try await play(rig, possession)
        #expect(!possession.violations.isEmpty, "seed \(seed)")
      }
    }
  }

  private func check(
    _ rig: KeeperRig, _ possession: Possession, _ finding: AuditReport.Finding, _ seed: UInt64
  ) async throws {
    #expect(possession.violations == [], "seed \(seed)")
    #expect(finding.checked >= possession.grants && possession.grants > 2, "seed \(seed)")
    #expect(finding.violations == 0, "seed \(seed): \(finding.examples)")
    #expect(try await rig.occupancy() == LeaseOccupancy(free: 3, leased: 0, waiting: 0), "seed \(seed)")
  }

  /// Six callers over three keys.
  private func play(_ rig: KeeperRig, _ possession: Possession) async throws {
    try await rig.generate(3)
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<6 {
        group.addTask {
          for _ in 0..<5 { await Self.act(rig, number, possession) }
        }
      }
    }
    rig.interposer.set(nil)
    // Whatever was forgotten expires, and is noticed by whoever asks for a key.
    try? await rig.pass(.seconds(12))
    let last = try await rig.acquire(try Holder(9), wait: .seconds(25))
    try await rig.release(last)
    try await rig.pass(.seconds(1))
  }

  private static func act(_ rig: KeeperRig, _ number: Int, _ possession: Possession) async {
    let random = rig.random
    func chance(_ percent: Int) -> Bool { random.next(below: 100) < percent }
    func pause(_ most: Int) async { try? await rig.pass(.milliseconds(random.next(below: most))) }
    func keeper() -> Int { random.next(below: 2) }

    let sent = rig.clock.now
    let call = rig.start { [keeper = keeper(), wait = random.next(below: 1500) + 20] in
      try await rig.acquire(try Holder(number), at: keeper, ttl: .seconds(1), wait: .milliseconds(wait))
    }
    if chance(25) {
      await pause(chance(50) ? 5 : 1000)
      call.cancel()
    }
    guard let lease = try? await call.value else { return await pause(50) }
    possession.begin(lease, sent: sent)
    await pause(300)
    while chance(40) {
      let sent = rig.clock.now
      if (try? await rig.renew(lease, at: keeper(), ttl: .seconds(1))) != nil { possession.extend(lease, sent: sent) }
      await pause(900)
    }
    // Some die with the key in their hands, and some come back long after that.
    if chance(15) { return }
    if chance(15) { await pause(4000) }
    possession.end(lease)
    let release = rig.start { [keeper = keeper()] in try await rig.release(lease, at: keeper) }
    if chance(20) {
      await pause(3)
      release.cancel()
    }
    _ = try? await release.value
    if chance(20) { try? await rig.release(lease, at: keeper()) }
  }
}

/// Who may use which key, as the holders see it: from the reply until they give the key back, or the lease has run out by
/// their own clocks.
private final class Possession: Sendable {
  private struct State {
    var holders: [Int64: (lease: [UInt8], until: ContinuousClock.Instant)] = [:]
    var epochs: [Int64: Int64] = [:]
    var grants: Int64 = 0
    var violations: [String] = []
  }

  private let rig: KeeperRig
  private let state = Mutex(State())

  init(_ rig: KeeperRig) { self.rig = rig }

  var grants: Int64 { state.withLock { $0.grants } }
  var violations: [String] { state.withLock { $0.violations } }

  /// A lease that is held now.
  var held: LeaseName? {
    let now = rig.clock.now
    let held = state.withLock { state in
      state.holders.filter { $0.value.until > now }.min { $0.key < $1.key }
    }
    return held.flatMap { key, holder in
      LeaseID(bytes: holder.lease).map { LeaseName(keyID: KeyID(rawValue: key), leaseID: $0) }
    }
  }

  func begin(_ lease: ChanceryV1.Lease, sent: ContinuousClock.Instant) {
    let now = rig.clock.now
    let deadline = LeaseDeadline(
      sent: sent, waited: .milliseconds(lease.waitedMs), ttl: .milliseconds(lease.ttlMs), margin: .zero)
    state.withLock { state in
      state.grants += 1
      if let other = state.holders[lease.keyID], other.until > now {
        state.violations.append("key \(lease.keyID) was leased at epoch \(lease.epoch) while another held it")
      }
      if let epoch = state.epochs[lease.keyID], epoch >= lease.epoch {
        state.violations.append("key \(lease.keyID) went from epoch \(epoch) to \(lease.epoch)")
      }
      state.holders[lease.keyID] = (lease.leaseID, deadline.instant)
      state.epochs[lease.keyID] = lease.epoch
    }
  }

  func extend(_ lease: ChanceryV1.Lease, sent: ContinuousClock.Instant) {
    state.withLock { state in
      guard state.holders[lease.keyID]?.lease == lease.leaseID else {
        state.violations.append("key \(lease.keyID) was renewed under a lease that had ended")
        return
      }
      state.holders[lease.keyID]?.until = sent.advanced(by: .seconds(1))
    }
  }

  func end(_ lease: ChanceryV1.Lease) {
    state.withLock { state in
      if state.holders[lease.keyID]?.lease == lease.leaseID { state.holders[lease.keyID] = nil }
    }
  }
}
