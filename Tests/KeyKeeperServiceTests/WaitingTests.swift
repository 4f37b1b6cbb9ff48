import Domain
import KeyKeeperService
import RPC
import Schema
import Storage
import Telemetry
import TestWorld
import Testing
import TimeAndChance

/// What must not cost anybody its place in line, or the line a key: a cache that was wrong, a caller that leaves at the
/// worst moment, a KeyKeeper that drains while a key is on its way.
@Suite struct WaitingTests {
  /// Puts a key out of use and back behind the KeyKeepers' backs: the cache does not know its epoch any more.
  private func mislead(_ rig: KeeperRig, _ key: Int64) async throws {
    _ = try await rig.database.setState(KeyID(rawValue: key), to: .disabled)
    _ = try await rig.database.setState(KeyID(rawValue: key), to: .active)
  }

  private func stale(_ rig: KeeperRig) -> Double {
    rig.observer.counter("chancery_grants_stale_total", ["algorithm": "ed25519"])
  }

  @Test func aStalePickCostsNoPlace() throws {
    try KeeperRig.run { rig in
      let key = try await rig.generate(1)[0]
      _ = try await rig.acquire(try Holder(), ttl: .seconds(2))
      try await mislead(rig, key.keyID)
      let order = Trace<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...5 {
          group.addTask {
            let lease = try await rig.acquire(try Holder(number), wait: .seconds(20))
            order.append(number)
            try await rig.release(lease)
          }
          try await rig.pass()
        }
        try await group.waitForAll()
      }
      #expect(stale(rig) == 1)
      #expect(order.entries == [1, 2, 3, 4, 5])
      #expect(try await rig.leastRecentlyUsed().violations == 0)
    }
  }

  /// The same with others in line at another KeyKeeper, and the answer of the store late: nobody can be held up meanwhile, but
  /// who was first is still before those who come later.
  @Test func aStalePickCostsNoPlaceAmongTwo() throws {
    try KeeperRig.run(keepers: 2) { rig in
      let key = try await rig.generate(1)[0]
      _ = try await rig.acquire(try Holder(), ttl: .seconds(2))
      try await mislead(rig, key.keyID)
      rig.interposer.set { step, moment in
        if step == "leaseStates", moment == .before { try? await rig.pass(.milliseconds(40)) }
      }
      let order = Trace<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...6 {
          group.addTask {
            let lease = try await rig.acquire(try Holder(number), at: number % 2, wait: .seconds(20))
            order.append(number)
            try await rig.release(lease, at: number % 2)
          }
          try await rig.pass()
        }
        try await group.waitForAll()
      }
      #expect(stale(rig) == 1)
      #expect(order.entries == [1, 2, 3, 4, 5, 6])
    }
  }

  /// A caller that goes while its pick is refused does not come back as a ghost that is granted a key.
  @Test func whoHasGoneDoesNotComeBack() throws {
    try KeeperRig.run { rig in
      let key = try await rig.generate(1)[0]
      let lease = try await rig.acquire(try Holder())
      try await rig.release(lease)
      try await mislead(rig, key.keyID)
      let call = rig.start { try await rig.acquire(try Holder(1), wait: .seconds(20)) }
      rig.interposer.set { step, moment in
        guard step == "grant", moment == .before else { return }
        rig.interposer.set(nil)
        call.cancel()
        try? await rig.pass()
      }
      await #expect(throws: RPCError.self) { try await call.value }
      try await rig.pass(.seconds(1))
      #expect(stale(rig) == 1)
      #expect(rig.granted() == 1)
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 1, leased: 0, waiting: 0))
    }
  }

  @Test func aKeyThatIsPickedDuringADrainIsGivenBack() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(1)
      let drained = Latch()
      rig.interposer.set { step, moment in
        guard step == "take", moment == .after else { return }
        rig.interposer.set(nil)
        // The drain waits for this step, so this step cannot wait for the drain.
        _ = rig.start {
          await rig.keepers[0].drain(); drained.open()
        }
        try? await rig.pass()
      }
      await expect(.unavailable, "stopping") { _ = try await rig.acquire(try Holder(1)) }
      await drained.wait()
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 1, leased: 0, waiting: 0))
      #expect(try await rig.acquire(try Holder(2), at: 1, wait: .seconds(1)).keyID == 1)
    }
  }

  @Test func aDrainRefusesWhoWaitsAndLetsHoldersFinish() throws {
    try KeeperRig.run(keepers: 2) { rig in
      try await rig.generate(1)
      let lease = try await rig.acquire(try Holder(1))
      async let refused: Void = expect(.unavailable, "stopping") {
        _ = try await rig.acquire(try Holder(2), wait: .seconds(20))
      }
      try await rig.pass()
      async let other = rig.acquire(try Holder(3), at: 1, wait: .seconds(20))
      try await rig.pass()
      await rig.keepers[0].drain()
      await refused
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 0, leased: 1, waiting: 1))
      await expect(.unavailable, "stopping") { _ = try await rig.acquire(try Holder(4)) }
      #expect(try await rig.renew(lease) == 10_000)
      try await rig.release(lease)
      // The one who waited behind it is the first now, and hears of it at its next poll.
      #expect(try await other.waitedMs < 100)
      let finding = try await rig.leastRecentlyUsed()
      #expect(finding.violations == 0 && finding.undecidable == 0)
    }
  }
}
