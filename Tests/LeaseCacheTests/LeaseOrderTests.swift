import Domain
import Storage
import Testing
import TimeAndChance

/// Proves that keys are given out exactly in the order of their last use, and to callers exactly in the order in which they
/// came: by thousands of random steps against a model that searches through lists, and by small cases.
@Suite struct LeaseOrderTests {
  /// What must happen, said as plainly as possible.
  private struct Model {
    struct Key {
      var id: Int64
      var rank: Int64 = 0
      var lease: LeaseID?
    }

    var keys: [Key]
    var line: [WaiterID] = []
    var sequence: Int64

    mutating func take(_ request: TakeRequest) -> TakeOutcome.Result {
      let isFirst = line.isEmpty || line[0] == request.waiter
      let free = keys.indices.filter { keys[$0].lease == nil }
      if isFirst, let best = free.min(by: { (keys[$0].rank, keys[$0].id) < (keys[$1].rank, keys[$1].id) }) {
        line.removeAll { $0 == request.waiter }
        sequence += 1
        keys[best].lease = request.leaseID
        return .picked(
          LeasePick(
            keyID: KeyID(rawValue: keys[best].id), epoch: Epoch(rawValue: 0),
            decision: DecisionNumber(generation: 1, sequence: sequence), rank: keys[best].rank, ticket: 0))
      }
      if !line.contains(request.waiter) { line.append(request.waiter) }
      return .queued(position: line.firstIndex(of: request.waiter)!, ticket: 0, nextExpiry: nil)
    }

    mutating func release(_ lease: LeaseID) -> DecisionNumber? {
      guard let index = keys.firstIndex(where: { $0.lease == lease }) else { return nil }
      sequence += 1
      keys[index].lease = nil
      keys[index].rank = sequence
      return DecisionNumber(generation: 1, sequence: sequence)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func randomStepsAgreeWithTheModel(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      let random = SeededRandom(seed: 7)
      let ids = (1...20).map { Int64($0) * 7 % 23 + 1 }.sorted()
      _ = try await cache.install(1, ids.map { state($0) })
      var model = Model(keys: ids.map { Model.Key(id: $0) }, sequence: Int64(ids.count))
      var waiting: [TakeRequest] = []
      var held: [LeaseName] = []
      var picks = 0
      for step in 0..<6000 {
        time.advance(by: .milliseconds(1))
        if random.next(below: 100) < 45, !held.isEmpty {
          let lease = held.remove(at: random.next(below: held.count))
          #expect(try await cache.release(lease) == model.release(lease.leaseID))
          continue
        }
        let isNew = waiting.isEmpty || (waiting.count < 30 && random.next(below: 100) < 60)
        let keyKeeper = ["a", "b", "c"][random.next(below: 3)]
        let wish =
          isNew
          ? request(Int64(step), of: keyKeeper, ttl: .seconds(300)) : waiting[random.next(below: min(2, waiting.count))]
        let outcome = try await cache.take(wish)
        #expect(outcome.expired.isEmpty)
        switch (outcome.result, model.take(wish)) {
        case (.picked(let pick), .picked(let expected)):
          #expect((pick.keyID, pick.decision, pick.rank) == (expected.keyID, expected.decision, expected.rank))
          waiting.removeAll { $0 == wish }
          held.append(LeaseName(keyID: pick.keyID, leaseID: wish.leaseID))
          picks += 1
        case (.queued(let position, _, _), .queued(let expected, _, _)):
          #expect(position == expected)
          if isNew { waiting.append(wish) }
        case (let actual, let expected):
          Issue.record("step \(step): \(actual) instead of \(expected)")
          return
        }
      }
      #expect(picks > 1000)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func neverUsedKeysComeFirstAndInTheOrderOfTheirIDs(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      // As text, 9 comes after 10, and 2 after both.
      let never = [2, 9, 10, 100].map { state($0) }
      _ = try await cache.install(1, never + [state(1, epoch: 5), state(50, epoch: 1)])
      var picks: [LeasePick] = []
      for number in 1...6 { picks.append(try #require(try await cache.take(request(Int64(number))).pick)) }
      #expect(picks.map(\.keyID.rawValue) == [2, 9, 10, 100, 1, 50])
      #expect(picks.map(\.rank) == [0, 0, 0, 0, 5, 6])
      #expect(picks.map(\.decision.sequence) == [7, 8, 9, 10, 11, 12])
      #expect(picks.map(\.epoch.rawValue) == [0, 0, 0, 0, 5, 1])
    }
  }

  @Test(arguments: TestedCache.allCases)
  func theLineIsSharedByKeyKeepersAndNobodyOvertakes(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, of: "a")).key == 1)
      #expect(try await cache.take(request(2, of: "b")).position == 0)
      #expect(try await cache.take(request(3, of: "a")).position == 1)
      #expect(try await cache.take(request(4, of: "b")).position == 2)
      // Asking again changes nothing.
      #expect(try await cache.take(request(3, of: "a")).position == 1)
      let tickets = try await cache.take([request(2, of: "b"), request(3, of: "a"), request(4, of: "b")]).map(\.ticket)
      #expect(tickets == [2, 3, 4])
      _ = try await cache.release(name(1, lease(1, of: "a")))
      // The key is free, but others are before these.
      #expect(try await cache.take(request(3, of: "a")).position == 1)
      #expect(try await cache.take(request(5, of: "a")).position == 3)
      #expect(try await cache.occupancy() == LeaseOccupancy(free: 1, leased: 0, waiting: 4))
      #expect(try await cache.take(request(2, of: "b")).key == 1)
      _ = try await cache.release(name(1, lease(2, of: "b")))
      // In one call: each gets its turn when those before it have gone.
      let outcomes = try await cache.take([request(4, of: "b"), request(3, of: "a")])
      #expect(outcomes.map(\.position) == [1, nil])
      #expect(outcomes.map(\.key) == [nil, 1])
    }
  }

  @Test(arguments: TestedCache.allCases)
  func whoLeavesTheLineIsNotInTheWay(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      for number in 2...5 { _ = try await cache.take(request(Int64(number))) }
      let leaving = [2, 4, 77].map { WaiterID(keyKeeper: "a", number: $0) }
      try await cache.leave(leaving, algorithm: .ed25519)
      #expect(try await cache.take(request(5)).position == 1)
      _ = try await cache.release(name(1, lease(1)))
      #expect(try await cache.take(request(3)).key == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func waitersOfASilentKeyKeeperAreDropped(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, of: "b", ttl: .seconds(100))).key == 1)
      #expect(try await cache.take(request(2, of: "dead")).position == 0)
      #expect(try await cache.take(request(3, of: "dead:7")).position == 1)
      #expect(try await cache.take(request(4, of: "b")).position == 2)
      time.advance(by: .seconds(2))
      #expect(try await cache.take(request(4, of: "b")).position == 2)
      time.advance(by: .microseconds(1))
      #expect(try await cache.take(request(4, of: "b")).position == 0)
      _ = try await cache.release(name(1, lease(1, of: "b")))
      #expect(try await cache.take(request(4, of: "b")).key == 1)
      // It was not dead, only slow: it is served, from the end of the line.
      #expect(try await cache.take(request(5, of: "b")).position == 0)
      #expect(try await cache.take(request(2, of: "dead")).position == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aKeyKeeperThatCallsKeepsItsPlaceHoweverLongItWasSilent(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, ttl: .seconds(100))).key == 1)
      #expect(try await cache.take(request(2)).position == 0)
      time.advance(by: .seconds(60))
      #expect(try await cache.take(request(3)).position == 1)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func aHeadThatDoesNotAskIsDroppedThoughItsKeyKeeperLives(_ tested: TestedCache) async throws {
    try await tested.run { cache, time in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, of: "b", ttl: .seconds(100))).key == 1)
      // Two that have left, but whose requests came after.
      #expect(try await cache.take(request(2, of: "a")).position == 0)
      #expect(try await cache.take(request(3, of: "a")).position == 1)
      #expect(try await cache.take(request(4, of: "a")).position == 2)
      for expected in [2, 1, 0] {
        time.advance(by: .seconds(1))
        #expect(try await cache.take(request(4, of: "a")).position == expected)
        time.advance(by: .seconds(1))
        #expect(try await cache.take(request(4, of: "a")).position == expected)
        time.advance(by: .microseconds(1))
      }
      // Asking for itself is all it takes.
      #expect(try await cache.take(request(5, of: "a")).position == 1)
      for _ in 1...5 {
        time.advance(by: .milliseconds(1500))
        #expect(try await cache.take(request(4, of: "a")).position == 0)
        #expect(try await cache.take(request(5, of: "a")).position == 1)
      }
    }
  }

  @Test(arguments: TestedCache.allCases)
  func theLineIsBounded(_ tested: TestedCache) async throws {
    var limits = LeaseCacheLimits()
    limits.waiters = 3
    try await tested.run(limits: limits) { cache, _ in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      for number in 2...4 { #expect(try await cache.take(request(Int64(number))).position == number - 2) }
      #expect(try await cache.take(request(5)).result == .lineFull(limit: 3))
      #expect(try await cache.take(request(4)).position == 2)
      try await cache.leave([WaiterID(keyKeeper: "a", number: 2)], algorithm: .ed25519)
      #expect(try await cache.take(request(5)).position == 2)
    }
  }

  @Test(arguments: TestedCache.allCases)
  func algorithmsDoNotShareKeysNorLines(_ tested: TestedCache) async throws {
    try await tested.run { cache, _ in
      _ = try await cache.install(1, [state(1)])
      var other = request(1)
      other.algorithm = .ecdsaP256
      #expect(try await cache.take(other).result == .mustRebuild)
      let state = LeasedKeyState(
        keyID: KeyID(rawValue: 2), algorithm: .ecdsaP256, isActive: true, epoch: Epoch(rawValue: 0), generation: 9,
        leaseID: nil, remaining: .zero)
      try await cache.install(generation: 9, algorithm: .ecdsaP256, keys: [state], unreleasedTTL: .seconds(1))
      #expect(try await cache.take(request(2)).key == 1)
      #expect(try await cache.take(request(3)).position == 0)
      let pick = try #require(try await cache.take(other).pick)
      #expect(pick.keyID == state.keyID)
      #expect(pick.decision == DecisionNumber(generation: 9, sequence: 2))
    }
  }
}
