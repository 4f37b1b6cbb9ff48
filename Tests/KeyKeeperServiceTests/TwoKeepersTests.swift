import Domain
import RPC
import Schema
import Storage
import Testing
import TimeAndChance

/// Two KeyKeepers over one store and one cache: they serve one line in order, never lease one key twice, and rebuild a cache
/// that has forgotten before anything is granted from it.
@Suite struct TwoKeepersTests {
  @Test func oneLineForBoth() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(1)
      let held = try await rig.acquire(try Holder())
      let order = Trace<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...20 {
          group.addTask {
            // In twos, so that neither KeyKeeper always has the next.
            let keeper = number / 2 % 2
            let lease = try await rig.acquire(try Holder(number), at: keeper, wait: .seconds(25))
            order.append(number)
            try await rig.release(lease, at: 1 - keeper)
          }
          try await rig.pass()
        }
        try await rig.release(held, at: 1)
        try await group.waitForAll()
      }
      #expect(order.entries == Array(1...20))
      let finding = try await rig.leastRecentlyUsed()
      #expect(finding.checked == 21 && finding.violations == 0 && finding.undecidable == 0)
    }
  }

  @Test func allKeysAreLeasedOnce() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(50)
      let keys = try await withThrowingTaskGroup(of: Int64.self) { group in
        for number in 0..<50 {
          group.addTask { try await rig.acquire(try Holder(number), at: number % 2).keyID }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(keys.sorted() == Array(1...50))
      await expect(.resourceExhausted, "50 active keys") { _ = try await rig.acquire(try Holder(), wait: .seconds(1)) }
    }
  }

  /// Unreleased leases count as live for one ttl: a lease that the holder renewed meanwhile, and one of a holder that died.
  @Test func aForgetfulCacheIsRebuiltFirst() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(3)
      let (alive, dead) = (try Holder(1), try Holder(2))
      let kept = try await rig.acquire(alive, ttl: .seconds(300))
      let lost = try await rig.acquire(dead, ttl: .seconds(1))
      let steps = Steps(rig)
      rig.cache.forget()
      #expect(try await rig.acquire(alive, at: 1, ttl: .seconds(300)).keyID == 3)
      #expect(
        steps.names.filter { ["beginGeneration", "install", "grant"].contains($0) }
          == ["beginGeneration", "install", "grant"])
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 0, leased: 3, waiting: 0))
      let start = rig.clock.now
      let next = try await rig.acquire(alive, at: 0, wait: .seconds(20))
      #expect(next.keyID == lost.keyID)
      #expect((.seconds(10) ... .seconds(10.5)).contains(start.duration(to: rig.clock.now)))
      #expect(try await rig.renew(kept) == 10_000)
      try await rig.release(kept)
      #expect(try await rig.acquire(alive, wait: .seconds(1)).keyID == kept.keyID)
      #expect(try await rig.leastRecentlyUsed().violations == 0)
    }
  }

  @Test func theLineSurvivesARebuild() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(1)
      let held = try await rig.acquire(try Holder(), ttl: .seconds(300))
      let order = Trace<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...6 {
          group.addTask {
            let lease = try await rig.acquire(try Holder(number), at: 1, wait: .seconds(25))
            order.append(number)
            try await rig.release(lease, at: 0)
          }
          try await rig.pass()
        }
        rig.cache.forget()
        try await rig.pass(.seconds(1))
        #expect(try await rig.occupancy() == LeaseOccupancy(free: 0, leased: 1, waiting: 6))
        try await rig.release(held)
        try await group.waitForAll()
      }
      #expect(order.entries == [1, 2, 3, 4, 5, 6])
    }
  }

  /// A KeyKeeper that has stopped asking holds nobody up for longer than the cache's patience.
  @Test func aDeadKeyKeeperLeavesTheLine() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(1)
      let held = try await rig.acquire(try Holder(), ttl: .seconds(300))
      // As it would be left behind by one that crashed.
      let ghost = TakeRequest(
        algorithm: .ed25519, waiter: WaiterID(keyKeeper: "crashed", number: 1),
        leaseID: try #require(LeaseID(bytes: rig.random.nextUUID())), ttl: .seconds(10))
      _ = try await rig.cache.take([ghost])
      async let next = rig.acquire(try Holder(1), at: 1, wait: .seconds(20))
      try await rig.pass()
      try await rig.release(held)
      let waited = try await next.waitedMs
      #expect((2000...2200).contains(waited))
    }
  }
}

/// The steps that KeyKeepers begin in store and cache from now on.
private final class Steps: Sendable {
  private let trace = Trace<String>()
  var names: [String] { trace.entries }

  init(_ rig: KeeperRig) {
    rig.interposer.set { [trace] step, moment in if moment == .before { trace.append(step) } }
  }
}
