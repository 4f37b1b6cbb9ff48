import Domain
import Storage
import Testing

/// Proves what becomes of a lease: it ends by release or expiry, once; what an earlier holder says late has no effect; a
/// request that is repeated finds its pick; and a pick that failed is undone. Time is set by hand.
@Suite struct LeaseLifeTests {
  @Test(arguments: TestedCache.allCases)
  func expiryFreesAsMostRecentlyUsedAndIsReported(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1), state(2), state(3)])
      #expect(try await cache.take(request(1, ttl: .seconds(5))).key == 1)
      #expect(try await cache.take(request(2, ttl: .seconds(3))).key == 2)
      #expect(try await cache.take(request(3, ttl: .seconds(9))).key == 3)
      #expect(try await cache.take(request(4)).nextExpiry == .seconds(3))
      time.advance(by: .milliseconds(2999))
      #expect(try await cache.take(request(4)).nextExpiry == .milliseconds(1))
      time.advance(by: .milliseconds(2001))
      let outcome = try await cache.take(request(4))
      let decisions = [7, 8].map { DecisionNumber(generation: 1, sequence: $0) }
      #expect(
        outcome.expired == [
          LeaseRelease(lease: name(2, lease(2)), decision: decisions[0], isExpiry: true),
          LeaseRelease(lease: name(1, lease(1)), decision: decisions[1], isExpiry: true),
        ])
      #expect(outcome.pick?.keyID.rawValue == 2)
      #expect(outcome.pick?.rank == 7)
      #expect(outcome.pick?.decision.sequence == 9)
      #expect(try await cache.take(request(5)).pick?.rank == 8)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 0, leased: 3, waiting: 0))
    }
  }

  @Test(arguments: TestedCache.allCases)
  func expirationsOfOneStepAreBounded(_ tested: TestedCache) async throws {
    var limits = LeaseCacheLimits()
    limits.expirationsPerStep = 2
    try await tested.run(limits: limits) { cache, time in
      _ = try await cache.install(1, (1...5).map { state($0) })
      for number in 1...5 { _ = try await cache.take(request(Int64(number), ttl: .seconds(1))) }
      #expect(try await cache.take(request(6)).position == 0)
      #expect(try await cache.take(request(7)).position == 1)
      time.advance(by: .seconds(1))
      let second = try await cache.take(request(7))
      #expect(second.expired.map(\.lease.keyID.rawValue) == [1, 2])
      #expect(second.position == 1)
      #expect(second.nextExpiry == .zero)
      #expect(try await cache.take(request(6)).expired.map(\.lease.keyID.rawValue) == [3, 4])
    }
  }

  @Test(arguments: TestedCache.allCases)
  func renewalMovesTheEnd(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, ttl: .seconds(10))).key == 1)
      time.advance(by: .seconds(9))
      #expect(try await cache.renew(name(1, lease(1)), ttl: .seconds(10)))
      time.advance(by: .seconds(9))
      #expect(try await cache.take(request(2)).nextExpiry == .seconds(1))
      time.advance(by: .seconds(1))
      #expect(try await cache.take(request(2)).key == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func noLeaseIsLongerThanTheLongestTTL(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      let longest = LeaseCacheLimits().maximumTTL
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, ttl: .seconds(100_000))).key == 1)
      #expect(try await cache.take(request(2)).nextExpiry == longest)
      #expect(try await cache.renew(name(1, lease(1)), ttl: .seconds(100_000)))
      #expect(try await cache.take(request(2)).nextExpiry == longest)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func lateWordOfAnEarlierHolderHasNoEffect(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1)])
      let first = name(1, lease(1))
      #expect(try await cache.take(request(1, ttl: .seconds(1))).key == 1)
      #expect(try await cache.release(name(2, lease(1))) == nil)
      #expect(try await cache.release(name(1, lease(9))) == nil)
      time.advance(by: .seconds(1))
      #expect(try await cache.take(request(2, ttl: .seconds(10))).key == 1)
      #expect(try await cache.release(first) == nil)
      #expect(try await cache.renew(first, ttl: .seconds(100)) == false)
      #expect(try await cache.take(request(3)).nextExpiry == .seconds(10))
      let second = name(1, lease(2))
      #expect(try await cache.release(second) == DecisionNumber(generation: 1, sequence: 5))
      // Released twice, or renewed after the release.
      #expect(try await cache.release(second) == nil)
      #expect(try await cache.renew(second, ttl: .seconds(100)) == false)
      #expect(try await cache.take(request(3)).pick?.rank == 5)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func releasesOfOneCallAreMadeInOrder(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1), state(2), state(3)])
      for number in 1...3 { _ = try await cache.take(request(Int64(number))) }
      let leases = [name(3, lease(3)), name(7, lease(7)), name(1, lease(1))]
      let decisions = try await cache.release(leases, algorithm: .ed25519)
      #expect(decisions.map { $0?.sequence } == [7, nil, 8])
      #expect(try await cache.take(request(4)).key == 3)
      #expect(try await cache.take(request(5)).key == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aRepeatedRequestGetsTheSamePick(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1, epoch: 4), state(2, epoch: 5)])
      #expect(try await cache.take(request(1)).key == 1)
      let pick = try await cache.take(request(2)).pick
      #expect(pick?.keyID.rawValue == 2)
      #expect(pick?.epoch.rawValue == 5)
      time.advance(by: .seconds(1))
      #expect(try await cache.take(request(2)).pick == pick)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 0, leased: 2, waiting: 0))
      // Also when others wait meanwhile, but not when the lease has ended.
      #expect(try await cache.take(request(3)).position == 0)
      #expect(try await cache.take(request(2)).pick == pick)
      _ = try await cache.release(name(2, lease(2)))
      #expect(try await cache.take(request(2)).position == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aFailedPickIsUndoneAndItsWaiterKeepsItsPlace(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1), state(2, epoch: 3)])
      #expect(try await cache.take(request(1)).key == 1)
      let pick = try #require(try await cache.take(request(2)).pick)
      #expect(pick.keyID.rawValue == 2)
      for number in 3...4 { _ = try await cache.take(request(Int64(number))) }
      // The store knows a lease that the cache did not.
      let outcome = try await cache.update(
        KeyUpdate(
          state(2, epoch: 4, lease: lease(99), remaining: .seconds(20)), deadLease: lease(2)))
      #expect(outcome == joined(5, 2))
      #expect(try await cache.release(name(2, lease(2))) == nil)
      // First in line again, with a fresh lease, though others have come.
      #expect(try await cache.take(request(2, ticket: pick.ticket, again: 1)).position == 0)
      #expect(try await cache.take(request(3)).position == 1)
      #expect(try await cache.release(name(2, lease(99)))?.sequence == 6)
      let next = try #require(try await cache.take(request(2, again: 1)).pick)
      #expect(next.keyID.rawValue == 2)
      #expect(next.epoch.rawValue == 4)
      #expect(next.ticket == pick.ticket)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aFailedPickOfAKeyThatNobodyHasFreesIt(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1, epoch: 2), state(2), state(3, epoch: 8)])
      // The key never used, and one that was.
      #expect(try await cache.take(request(1)).key == 2)
      #expect(try await cache.take(request(2)).key == 1)
      let outcome = try await cache.update(
        KeyUpdate(state(2), deadLease: lease(1)), KeyUpdate(state(1, epoch: 2), deadLease: lease(2)))
      #expect(outcome == joined(6, 2, 1))
      let again = try await cache.take([request(1, again: 1), request(2, again: 1), request(3)])
      #expect(again.map(\.key) == [2, 3, 1])
      #expect(again.map { $0.pick?.rank } == [0, 3, 6])
      #expect(again.map { $0.pick?.epoch.rawValue } == [0, 8, 2])
      // The pick is another now: what is said of the failed one comes too late.
      let late = try await cache.update(KeyUpdate(state(2), deadLease: lease(1)))
      #expect(late == .known)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 0, leased: 3, waiting: 0))
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aTicketThatWasNeverGivenOutIsNoPlaceInLine(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      #expect(try await cache.take(request(2)).position == 0)
      #expect(try await cache.take(request(3, ticket: 9)).position == 1)
      #expect(try await cache.take(request(4)).position == 2)
    }
  }
}
