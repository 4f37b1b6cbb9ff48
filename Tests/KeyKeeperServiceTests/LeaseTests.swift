import Domain
import RPC
import Schema
import Signing
import Storage
import TestWorld
import Testing

extension Holder {
  /// The private key of a lease.
  func open(_ lease: ChanceryV1.Lease) throws -> PrivateKey {
    let purpose = SealPurpose.lease(KeyID(rawValue: lease.keyID), Epoch(rawValue: lease.epoch))
    return try PrivateKey(trustedPKCS8: try recipient.open(lease.sealedPrivateKey.span, for: purpose))
  }
}

/// The life of a lease at one KeyKeeper, in virtual time: who gets which key and when, how long a caller waits, what a holder
/// may do with its lease and what a former holder may not.
@Suite struct LeaseTests {
  // MARK: - Acquire

  @Test func keysGoFromLeastToMostRecentlyUsed() throws {
    try KeeperRig.run { rig in
      let holder = try Holder()
      try await rig.generate(4)
      // Never used ones first, by id.
      var leases: [ChanceryV1.Lease] = []
      for _ in 0..<4 { leases.append(try await rig.acquire(holder)) }
      #expect(leases.map(\.keyID) == [1, 2, 3, 4])
      // Then in the order in which they were given back.
      for index in [2, 0, 3, 1] { try await rig.release(leases[index]) }
      for expected: Int64 in [3, 1, 4, 2, 3, 1, 4, 2] {
        let lease = try await rig.acquire(holder)
        #expect(lease.keyID == expected)
        try await rig.release(lease)
      }
      // A key that was never used comes before those that were.
      try await rig.generate(1)
      #expect(try await rig.acquire(holder).keyID == 5)
      let finding = try await rig.leastRecentlyUsed()
      #expect(finding.checked == 13 && finding.violations == 0 && finding.undecidable == 0)
    }
  }

  @Test func aLeaseSaysWhatItIs() throws {
    try KeeperRig.run { rig in
      let holder = try Holder(7)
      let key = try await rig.generate(1)[0]
      let first = try await rig.acquire(holder)
      #expect(first.keyID == key.keyID && first.epoch == 1 && first.leaseID.count == 16 && first.algorithm == .ed25519)
      #expect(first.waitedMs == 0 && first.ttlMs == 10_000)
      #expect(try await rig.get(key.keyID).holder == holder.id)
      try await rig.release(first)
      #expect(try await rig.get(key.keyID).holder.isEmpty)
      let second = try await rig.acquire(holder, ttl: .seconds(300))
      #expect(second.epoch == 2 && second.leaseID != first.leaseID && second.ttlMs == 300_000)
    }
  }

  /// Errors in the order in which they are documented: each request has this mistake and all that come after.
  @Test func badRequests() throws {
    try KeeperRig.run { rig in
      let holder = try Holder()
      let recipient = holder.recipient.publicKey.bytes
      let leases = rig.leases()
      func acquire(
        _ algorithm: ChanceryV1.Algorithm, _ name: String, _ recipient: [UInt8], _ ttl: UInt32
      ) async throws {
        _ = try await leases.acquire(
          .init(algorithm: algorithm, holder: name, recipientPublicKey: recipient, ttlMs: ttl))
      }
      await expect(.invalidArgument, "algorithm: it must be given") { try await acquire(.unspecified, "x", [], 1) }
      await expect(.invalidArgument, "algorithm: 99") { try await acquire(.unrecognized(99), "x", [], 1) }
      await expect(.invalidArgument, "holder") { try await acquire(.ed25519, "x", [], 1) }
      await expect(.invalidArgument, "recipient_public_key") { try await acquire(.ed25519, holder.id, [1], 1) }
      for ttl: UInt32 in [1, 999, 300_001, .max] {
        await expect(.invalidArgument, "ttl_ms: \(ttl)") { try await acquire(.ed25519, holder.id, recipient, ttl) }
      }
      await expect(.failedPrecondition, "no active ed25519 key") {
        try await acquire(.ed25519, holder.id, recipient, 1000)
      }
      try await rig.generate(1)
      // Of small order: nothing can be sealed to it. The key that it was to get is free again at once.
      let zero = [UInt8](repeating: 0, count: 32)
      await expect(.invalidArgument, "recipient_public_key") { try await acquire(.ed25519, holder.id, zero, 1000) }
      try await rig.pass()
      try await acquire(.ed25519, holder.id, recipient, 1000)

      await expect(.invalidArgument, "lease_id") {
        _ = try await leases.renew(.init(keyID: 1, leaseID: [1], ttlMs: 1))
      }
      let unknown = [UInt8](repeating: 7, count: 16)
      await expect(.invalidArgument, "ttl_ms") {
        _ = try await leases.renew(.init(keyID: 1, leaseID: unknown, ttlMs: 1))
      }
      await expect(.notFound) { _ = try await leases.renew(.init(keyID: 1, leaseID: unknown)) }
      await expect(.notFound) { _ = try await leases.renew(.init(keyID: 99, leaseID: unknown)) }
      await expect(.invalidArgument, "lease_id") { _ = try await leases.release(.init(keyID: 1, leaseID: [1])) }
      _ = try await leases.release(.init(keyID: 99, leaseID: unknown))
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 0, leased: 1, waiting: 0))
    }
  }

  @Test func whoWaitsLongestComesFirst() throws {
    try KeeperRig.run { rig in
      try await rig.generate(2)
      let first = [try await rig.acquire(try Holder()), try await rig.acquire(try Holder())]
      let order = Trace<Int>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...20 {
          group.addTask {
            let lease = try await rig.acquire(try Holder(number), wait: .seconds(20))
            order.append(number)
            try await rig.pass(.milliseconds(700))
            try await rig.release(lease)
          }
          try await rig.pass()
        }
        try await rig.pass(.seconds(1))
        #expect(try await rig.occupancy()?.waiting == 20)
        for lease in first { try await rig.release(lease) }
        // Ever more come, and none of them is served before those who were there.
        for number in 21...30 {
          group.addTask {
            let lease = try await rig.acquire(try Holder(number), wait: .seconds(20))
            order.append(number)
            try await rig.release(lease)
          }
          try await rig.pass(.milliseconds(170))
        }
        try await group.waitForAll()
      }
      #expect(order.entries == Array(1...30))
      let finding = try await rig.leastRecentlyUsed()
      #expect(finding.violations == 0 && finding.undecidable == 0)
    }
  }

  @Test func theDeadlineSaysHowBusyItIs() throws {
    try KeeperRig.run { rig in
      try await rig.generate(2)
      let holder = try Holder()
      var held = [try await rig.acquire(holder, ttl: .seconds(300)), try await rig.acquire(holder, ttl: .seconds(300))]
      async let patient = rig.acquire(holder, ttl: .seconds(300), wait: .seconds(25))
      try await rig.pass()
      let start = rig.clock.now
      await expect(.resourceExhausted, "2 active keys, and 1 callers wait") {
        _ = try await rig.acquire(holder, wait: .seconds(5))
      }
      let waited = start.duration(to: rig.clock.now)
      #expect(waited <= .seconds(5) && waited > .seconds(4.8))
      try await rig.release(held.removeLast())
      #expect((4900...5000).contains(try await patient.waitedMs))
      // Without a deadline of its own, a call waits for 30 s.
      let later = rig.clock.now
      await expect(.resourceExhausted, "within 30000 ms") { _ = try await rig.acquire(holder) }
      #expect(later.duration(to: rig.clock.now) < .seconds(30.1))
    }
  }

  @Test func withoutAnActiveKeyNobodyWaits() throws {
    try KeeperRig.run { rig in
      let holder = try Holder()
      await expect(.failedPrecondition) { _ = try await rig.acquire(holder) }
      let keys = try await rig.generate(2)
      let lease = try await rig.acquire(holder)
      _ = try await rig.keys.disable(.init(keyID: keys[1].keyID))
      async let waiting: Void = expect(.failedPrecondition) { _ = try await rig.acquire(holder, wait: .seconds(9)) }
      try await rig.pass(.seconds(1))
      let start = rig.clock.now
      _ = try await rig.keys.retire(.init(keyID: lease.keyID))
      await waiting
      #expect(start.duration(to: rig.clock.now) < .milliseconds(100))
    }
  }

  // MARK: - Holding

  @Test func renewExtendsToAFullTTL() throws {
    try KeeperRig.run { rig in
      try await rig.generate(1)
      let holder = try Holder()
      let lease = try await rig.acquire(holder)
      for _ in 0..<5 {
        try await rig.pass(.seconds(9))
        #expect(try await rig.renew(lease) == 10_000)
      }
      #expect(try await rig.renew(lease, ttl: .seconds(20)) == 20_000)
      let start = rig.clock.now
      let next = try await rig.acquire(holder)
      #expect(next.epoch == lease.epoch + 1)
      #expect((.seconds(20) ... .seconds(20.5)).contains(start.duration(to: rig.clock.now)))
      await expect(.notFound, "acquire another") { _ = try await rig.renew(lease) }
      let finding = try await rig.leastRecentlyUsed()
      #expect(finding.violations == 0 && finding.undecidable == 0)
    }
  }

  @Test func expiryFreesTheKeyAndWakesAWaiter() throws {
    try KeeperRig.run { rig in
      try await rig.generate(2)
      let (dead, alive) = (try Holder(1), try Holder(2))
      let first = try await rig.acquire(dead, ttl: .seconds(2))
      let second = try await rig.acquire(alive, ttl: .seconds(300))
      let start = rig.clock.now
      let third = try await rig.acquire(alive, wait: .seconds(5))
      #expect(third.keyID == first.keyID && third.epoch == first.epoch + 1)
      #expect((.seconds(2) ... .seconds(2.5)).contains(start.duration(to: rig.clock.now)))
      #expect(rig.observer.events.contains("lease.expired"))
      // The expired key is the most recently used one.
      try await rig.release(second)
      try await rig.release(third)
      #expect(try await rig.acquire(alive).keyID == second.keyID)
    }
  }

  @Test func releaseHasItsEffectOnce() throws {
    try KeeperRig.run { rig in
      try await rig.generate(2)
      let holder = try Holder()
      let (first, second) = (try await rig.acquire(holder), try await rig.acquire(holder))
      try await rig.release(first)
      try await rig.release(second)
      // Once more: the order of use stays.
      try await rig.release(first)
      #expect(try await rig.acquire(holder).keyID == first.keyID)
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 1, leased: 1, waiting: 0))
      await expect(.notFound) { _ = try await rig.renew(first) }
    }
  }

  @Test func aFormerHolderTouchesNothing() throws {
    try KeeperRig.run { rig in
      try await rig.generate(1)
      let (former, present) = (try Holder(1), try Holder(2))
      let old = try await rig.acquire(former, ttl: .seconds(1))
      let new = try await rig.acquire(present, wait: .seconds(5))
      try await rig.release(old)
      await expect(.notFound) { _ = try await rig.renew(old) }
      try await rig.pass(.seconds(1))
      #expect(try await rig.get(new.keyID).holder == present.id)
      await expect(.resourceExhausted) { _ = try await rig.acquire(former, wait: .seconds(1)) }
      #expect(try await rig.renew(new) == 10_000)
    }
  }

  // MARK: - Taking a key out of use

  @Test func disableEndsTheLeaseAndMintsAnEpoch() throws {
    try KeeperRig.run { rig in
      let key = try await rig.generate(1)[0]
      let holder = try Holder()
      let lease = try await rig.acquire(holder)
      let disabled = try await rig.keys.disable(.init(keyID: key.keyID))
      #expect(disabled.epoch == lease.epoch + 1 && disabled.holder.isEmpty)
      await expect(.notFound) { _ = try await rig.renew(lease) }
      await expect(.failedPrecondition) { _ = try await rig.acquire(holder) }
      try await rig.release(lease)
      _ = try await rig.keys.enable(.init(keyID: key.keyID))
      let next = try await rig.acquire(holder)
      #expect(next.epoch == lease.epoch + 2)
      try await rig.release(lease)
      await expect(.notFound) { _ = try await rig.renew(lease) }
      #expect(try await rig.renew(next) == 10_000)
    }
  }

  @Test func retireLetsTheHolderFinish() throws {
    try KeeperRig.run { rig in
      let key = try await rig.generate(1)[0]
      let holder = try Holder()
      let lease = try await rig.acquire(holder)
      let retired = try await rig.keys.retire(.init(keyID: key.keyID))
      #expect(retired.epoch == lease.epoch && retired.holder == holder.id)
      for _ in 0..<3 {
        try await rig.pass(.seconds(5))
        #expect(try await rig.renew(lease) == 10_000)
      }
      await expect(.failedPrecondition) { _ = try await rig.acquire(holder) }
      try await rig.release(lease)
      await expect(.notFound) { _ = try await rig.renew(lease) }
      await expect(.failedPrecondition) { _ = try await rig.acquire(holder) }
      #expect(try await rig.occupancy() == LeaseOccupancy(free: 0, leased: 0, waiting: 0))
    }
  }
}
