import Domain
import Storage
import Testing

/// Proves that a cache is rebuilt from the store when it must be, that the newest generation wins whoever rebuilds, that
/// leases survive a rebuild, and that single keys are taken over from the store.
@Suite struct LeaseRebuildTests {
  @Test(arguments: TestedCache.allCases)
  func anEmptyCacheAsksToBeRebuilt(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      #expect(try await cache.take(request(1)).result == .mustRebuild)
      #expect(try await cache.update(KeyUpdate(state(1))) == .mustRebuild)
      #expect(try await cache.occupancy() == nil)
      #expect(try await cache.release(name(1, lease(1))) == nil)
      #expect(try await cache.renew(name(1, lease(1)), ttl: .seconds(1)) == false)
      try await cache.leave([WaiterID(keyKeeper: "a", number: 1)], algorithm: .ed25519)
      // Nobody waits in a cache that must be rebuilt.
      #expect(try await cache.install(1, []))
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 0, leased: 0, waiting: 0))
      #expect(try await cache.take(request(1)).nextExpiry == nil)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func theNewestGenerationWins(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      // Two rebuilders: the one that began later is done first.
      let isInstalled = try await cache.install(5, [state(1, generation: 5)])
      #expect(isInstalled)
      #expect(try await cache.install(4, [state(2, generation: 4)]) == false)
      #expect(try await cache.install(5, [state(3, generation: 5)]) == false)
      #expect(try await cache.take(request(1)).pick?.decision == DecisionNumber(generation: 5, sequence: 2))
      #expect(try await cache.install(6, [state(7, generation: 6), state(8, generation: 6)]))
      #expect(try await cache.take(request(2)).pick?.decision == DecisionNumber(generation: 6, sequence: 3))
      // What was leased and the store did not tell of is gone.
      #expect(try await cache.release(name(1, lease(1))) == nil)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func unreleasedLeasesLiveForAFullTTL(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      let keys = [
        state(1, epoch: 3, lease: lease(1), remaining: .seconds(-50)),
        state(2, epoch: 4, lease: lease(2), remaining: .seconds(25)),
        state(3, epoch: 9),
      ]
      #expect(try await cache.install(1, keys, unreleasedTTL: .seconds(10)))
      #expect(try await cache.take(request(4)).key == 3)
      #expect(try await cache.take(request(5)).nextExpiry == .seconds(10))
      // Its holder may still release or renew it.
      #expect(try await cache.renew(name(1, lease(1)), ttl: .seconds(12)))
      #expect(try await cache.release(name(2, lease(2))) == DecisionNumber(generation: 1, sequence: 5))
      #expect(try await cache.take(request(5)).pick?.rank == 5)
      time.advance(by: .seconds(12))
      let outcome = try await cache.take(request(6))
      #expect(outcome.expired.map(\.lease) == [name(2, lease(5)), name(3, lease(4)), name(1, lease(1))])
      #expect(outcome.pick?.epoch.rawValue == 5)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func theLineOutlivesARebuild(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      for number in 2...3 { _ = try await cache.take(request(Int64(number))) }
      let keys = [state(1, epoch: 1, generation: 2, lease: lease(1), remaining: .seconds(5)), state(2, generation: 2)]
      #expect(try await cache.install(2, keys))
      #expect(try await cache.take(request(4)).position == 2)
      #expect(try await cache.take(request(3)).position == 1)
      #expect(try await cache.take(request(2)).key == 2)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func keysAreAddedDisabledEnabledAndRetired(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(3, [state(1, epoch: 1, generation: 3), state(2, epoch: 2, generation: 3)])
      // Added: never used, so it comes first, but not before another that was never used.
      let added = try await cache.update(KeyUpdate(state(9, generation: 0)), KeyUpdate(state(5, generation: 0)))
      #expect(added == joined(3, 9, 5, generation: 3))
      #expect(try await cache.take(request(1)).key == 5)
      // Disabled while it is leased: an epoch is minted, and the cache forgets key and lease.
      let disabled = state(5, epoch: 2, generation: 3, lease: lease(1), remaining: .seconds(9), isActive: false)
      #expect(try await cache.update(KeyUpdate(disabled)) == .known)
      #expect(try await cache.renew(name(5, lease(1)), ttl: .seconds(9)) == false)
      #expect(try await cache.release(name(5, lease(1))) == nil)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 3, leased: 0, waiting: 0))
      // Enabled: as the most recently used, for nobody knows here when that was.
      #expect(
        try await cache.update(KeyUpdate(state(5, epoch: 2, generation: 0))) == joined(5, 5, generation: 3))
      // Retired while it is free.
      #expect(try await cache.update(KeyUpdate(state(9, generation: 0, isActive: false))) == .known)
      let picks = try await cache.take([request(2), request(3), request(4), request(5)])
      #expect(picks.map(\.key) == [1, 2, 5, nil])
      #expect(picks[2].pick?.rank == 5)
      #expect(picks[2].pick?.epoch.rawValue == 2)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func whatTheCacheKnowsBetterIsNotOverwritten(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(2, [state(1, epoch: 5, generation: 2), state(2, epoch: 6, generation: 2)])
      #expect(try await cache.take(request(1)).key == 1)
      // Said before the grant, after it, and before the release reached the cache.
      for told in [
        state(1, epoch: 5, generation: 2),
        state(1, epoch: 6, generation: 2, lease: lease(1), remaining: .seconds(1)),
        state(1, epoch: 6, generation: 2),
      ] {
        #expect(try await cache.update(KeyUpdate(told)) == .known, "\(told)")
        #expect(try await cache.occupancy() == LeaseOccupancy(free: 1, leased: 1, waiting: 0))
      }
      // Said after a grant that this cache did not see.
      let news = state(1, epoch: 7, generation: 2, lease: lease(50), remaining: .seconds(3))
      #expect(try await cache.update(KeyUpdate(news)) == joined(4, 1, generation: 2))
      #expect(try await cache.release(name(1, lease(1))) == nil)
      #expect(try await cache.release(name(1, lease(50)))?.sequence == 5)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aKeyThatIsNotGrantableYetIsJoinedAgain(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(2, [])
      for sequence in [1, 2] as [Int64] {
        #expect(
          try await cache.update(KeyUpdate(state(4, generation: 1))) == joined(sequence, 4, generation: 2))
      }
      #expect(try await cache.update(KeyUpdate(state(4, generation: 2))) == .known)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 1, leased: 0, waiting: 0))
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aKeyOfALaterGenerationMeansThatTheCacheIsOld(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(2, [state(1, generation: 2)])
      let updates = [KeyUpdate(state(2, generation: 2)), KeyUpdate(state(1, generation: 3))]
      #expect(try await cache.update(updates, algorithm: .ed25519) == .mustRebuild)
      // Nothing of it was done.
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 1, leased: 0, waiting: 0))
      #expect(try await cache.take(request(1)).pick?.decision.sequence == 2)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func moreKeysThanACacheTakesAreRefused(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      let keys = (1...Int64(LeaseCacheLimits.keys) + 1).map { state($0) }
      let error = await #expect(throws: StorageError.self) { try await cache.install(1, keys) }
      #expect(error?.code == .wrongState)
      #expect(error?.message.contains("100001 active ed25519 keys") == true)
      let isInstalled = try await cache.install(1, Array(keys.dropLast()))
      #expect(isInstalled)
      #expect(try await cache.occupancy()?.free == LeaseCacheLimits.keys)
    }
  }
}
