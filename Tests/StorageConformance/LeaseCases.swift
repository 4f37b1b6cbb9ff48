import Domain
import Storage
import Testing

// Leases: the store grants what a cache has picked only if the cache knew the key as it is, and it alone mints epochs.
extension ConformanceCase {
  static let leases = [
    ConformanceCase("a grant mints the next epoch, and the key says who holds it and for how long") {
      scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      let holder: SignerID = scene.id()
      let request = try await scene.request(key, holder: holder)
      #expect(try await scene.store.grant([request]) == [.granted(Epoch(rawValue: 1))])
      let state = try await scene.state(key)
      #expect(state.epoch.rawValue == 1)
      #expect(state.leaseID == request.leaseID)
      #expect(state.isActive)
      #expect(state.generation == request.decision.generation)
      #expect(state.remaining > .seconds(500) && state.remaining <= .seconds(1000))
      #expect(try await scene.store.key(key)?.holder == "\(holder)")
      #expect(try await scene.store.grant([]) == [])
    },

    ConformanceCase("the same grant again has the same answer") { scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      let request = try await scene.request(key)
      #expect(try await scene.store.grant([request]) == [.granted(Epoch(rawValue: 1))])
      #expect(try await scene.store.grant([request]) == [.granted(Epoch(rawValue: 1))])
    },

    ConformanceCase("a key under a live lease is not granted, and after its end it is") { scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      let first = try await scene.lease(key)
      let early = try await scene.request(key)
      let outcome = try await scene.store.grant([early])
      guard case .stale(let state?) = outcome.first else { throw Unexpected("\(outcome)") }
      #expect(state.leaseID == first.leaseID)
      #expect(state.epoch == first.epoch)
      try await scene.advance(.seconds(1100))
      #expect(try await scene.state(key).remaining <= .zero)
      #expect(try await scene.store.key(key)?.holder == nil)
      let second = try await scene.lease(key)
      #expect(second.epoch.rawValue == 2)
      #expect(try await scene.store.endLeases([second.name]) == [true])
      #expect(try await scene.state(key).leaseID == nil)
      #expect(try await scene.lease(key).epoch.rawValue == 3)
    },

    ConformanceCase("a cache that is wrong about a key is told how it is") { scene async throws in
      let keys = try await scene.addKeys(4)
      try await scene.beginGeneration()
      var requests: [GrantRequest] = []
      for key in keys { requests.append(try await scene.request(key)) }
      requests[0].epoch = Epoch(rawValue: 7)
      requests[1].decision.generation += 1
      _ = try await scene.store.setState(keys[2], to: .disabled)
      _ = try await scene.store.setState(keys[3], to: .retired)
      let unknown = GrantRequest(
        keyID: KeyID(rawValue: 4711), epoch: Epoch(rawValue: 0), leaseID: scene.id(), holder: scene.id(),
        ttl: .seconds(1), decision: scene.decide(), rank: 0)
      let outcomes = try await scene.store.grant(requests + [unknown])
      #expect(outcomes == (try await scene.store.leaseStates(keys)).map { .stale($0) } + [.stale(nil)])
      #expect(outcomes.count == 5)
      // Nothing changed: the first can be granted by a cache that knows better.
      requests[0].epoch = Epoch(rawValue: 0)
      requests[0].decision = scene.decide()
      #expect(try await scene.store.grant([requests[0]]) == [.granted(Epoch(rawValue: 1))])
    },

    ConformanceCase("several keys are granted in one call, each on its own, answered in the order of the requests") {
      scene async throws in
      let keys = try await scene.addKeys(3)
      try await scene.beginGeneration()
      let held = try await scene.lease(keys[1])
      var requests: [GrantRequest] = []
      for key in keys.reversed() { requests.append(try await scene.request(key)) }
      let outcomes = try await scene.store.grant(requests)
      let busy = try await scene.state(keys[1])
      #expect(busy.leaseID == held.leaseID)
      #expect(outcomes.count == 3)
      #expect(outcomes.first == .granted(Epoch(rawValue: 1)))
      #expect(outcomes.last == .granted(Epoch(rawValue: 1)))
      guard case .stale(let state?) = outcomes[1] else { throw Unexpected("\(outcomes)") }
      #expect(state.leaseID == held.leaseID)
    },

    ConformanceCase("concurrent grants of one key grant it once") { scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      var requests: [GrantRequest] = []
      for _ in 0..<8 { requests.append(try await scene.request(key)) }
      let all = requests
      let store = scene.store
      let outcomes = try await withThrowingTaskGroup(of: GrantOutcome?.self) { group in
        for request in all { group.addTask { try await store.grant([request]).first } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let granted = outcomes.count { $0 == .granted(Epoch(rawValue: 1)) }
      #expect(granted == 1)
      #expect(try await scene.state(key).epoch.rawValue == 1)
    },

    ConformanceCase("concurrent grants of several keys in any order end") { scene async throws in
      let keys = try await scene.addKeys(6)
      try await scene.beginGeneration()
      var rounds: [[GrantRequest]] = []
      for round in 0..<6 {
        var requests: [GrantRequest] = []
        for key in round % 2 == 0 ? keys : keys.reversed() { requests.append(try await scene.request(key)) }
        rounds.append(requests)
      }
      let all = rounds
      let store = scene.store
      let outcomes = try await withThrowingTaskGroup(of: [GrantOutcome].self) { group in
        for requests in all { group.addTask { try await store.grant(requests) } }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      let granted = outcomes.count { $0 == .granted(Epoch(rawValue: 1)) }
      #expect(granted == 6)
    },

    ConformanceCase("a live lease is renewed, one that has ended is not") { scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      let lease = try await scene.lease(key)
      try await scene.advance(.seconds(800))
      #expect(try await scene.store.renew(key, lease: lease.leaseID, ttl: .seconds(1000)))
      try await scene.advance(.seconds(800))
      #expect(try await scene.state(key).remaining > .zero)
      #expect(!(try await scene.store.renew(key, lease: scene.id(), ttl: .seconds(1000))))
      try await scene.advance(.seconds(800))
      #expect(!(try await scene.store.renew(key, lease: lease.leaseID, ttl: .seconds(1000))))
      let next = try await scene.lease(key)
      _ = try await scene.store.endLeases([next.name])
      #expect(!(try await scene.store.renew(key, lease: next.leaseID, ttl: .seconds(1000))))
      let last = try await scene.lease(key)
      _ = try await scene.store.setState(key, to: .disabled)
      #expect(!(try await scene.store.renew(key, lease: last.leaseID, ttl: .seconds(1000))))
      #expect(!(try await scene.store.renew(KeyID(rawValue: 4711), lease: last.leaseID, ttl: .seconds(1000))))
    },

    ConformanceCase("only the newest lease of a key can be ended, as often as one likes") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let old = try await scene.lease(keys[0])
      try await scene.advance(.seconds(1100))
      let new = try await scene.lease(keys[0])
      let other = try await scene.lease(keys[1])
      #expect(try await scene.store.endLeases([other.name, old.name]) == [true, false])
      #expect(try await scene.state(keys[0]).leaseID == new.leaseID)
      #expect(try await scene.store.endLeases([new.name, new.name, other.name]) == [true, true, true])
      let unknown = LeaseName(keyID: KeyID(rawValue: 4711), leaseID: scene.id())
      #expect(try await scene.store.endLeases([unknown]) == [false])
      #expect(try await scene.store.endLeases([]) == [])
    },
  ]

  static let generations = [
    ConformanceCase("a generation has the active keys in the order of use: unused by id, then by release or grant") {
      scene async throws in
      let keys = try await scene.addKeys(6)
      try await scene.addKeys(1, .ed25519)
      #expect(try await scene.beginGeneration().map(\.keyID) == keys)
      let leases = try await [keys[3], keys[0], keys[5], keys[1]].leased(in: scene)
      _ = try await scene.release(leases[2])
      _ = try await scene.release(leases[0])
      // Ended, but nobody wrote down when the cache made it free: its grant counts.
      _ = try await scene.store.endLeases([leases[3].name])
      _ = try await scene.store.setState(keys[4], to: .disabled)
      let states = try await scene.beginGeneration()
      // Unused: 2 (4 is disabled). Grants in order: 3, 0, 5, 1; releases: 5, then 3.
      #expect(states.map(\.keyID) == [keys[2], keys[0], keys[1], keys[5], keys[3]])
      #expect(states.map(\.leaseID) == [nil, leases[1].leaseID, nil, nil, nil])
      #expect(states[1].remaining > .zero)
      #expect(Set(states.map(\.generation)).count == 1)
    },

    ConformanceCase("a new generation stops every grant that was picked under an older one") { scene async throws in
      let keys = try await scene.addKeys(2)
      let other = try #require(try await scene.addKeys(1, .ed25519).first)
      try await scene.beginGeneration(.ed25519)
      let untouched = try await scene.request(other)
      try await scene.beginGeneration()
      let old = try await scene.request(keys[0])
      let first = try await scene.state(keys[0]).generation
      try await scene.beginGeneration()
      let second = try await scene.state(keys[0]).generation
      #expect(second > first)
      guard case .stale(let state?) = try await scene.store.grant([old]).first else { throw Unexpected("granted") }
      #expect(state.generation == second)
      _ = try await scene.lease(keys[0])
      // Generations of one algorithm say nothing of another.
      #expect(try await scene.store.grant([untouched]) == [.granted(Epoch(rawValue: 1))])
    },

    ConformanceCase("a key that is added or enabled later is granted once the generation has taken it up") {
      scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let late = try #require(try await scene.addKeys(1).first)
      _ = try await scene.store.setState(keys[1], to: .disabled)
      _ = try await scene.store.setState(keys[1], to: .active)
      for key in [late, keys[1]] {
        let request = try await scene.request(key)
        guard case .stale? = try await scene.store.grant([request]).first else { throw Unexpected("granted \(key)") }
      }
      try await scene.store.joinGeneration([late, keys[1]], decision: scene.decide())
      #expect(try await scene.lease(late).epoch.rawValue == 1)
      #expect(try await scene.lease(keys[1]).epoch.rawValue == 2)
    },

    ConformanceCase("keys join the newest generation alone, and only if they are active") { scene async throws in
      let key = try #require(try await scene.addKeys(1).first)
      try await scene.beginGeneration()
      let old = scene.decide()
      try await scene.beginGeneration()
      let late = try await scene.addKeys(2)
      try await scene.store.joinGeneration([late[0]], decision: old)
      _ = try await scene.store.setState(late[1], to: .disabled)
      try await scene.store.joinGeneration([late[1], KeyID(rawValue: 4711)], decision: scene.decide())
      try await scene.store.joinGeneration([], decision: scene.decide())
      let states = try await scene.store.leaseStates([key] + late)
      #expect(states.map { $0.generation > 0 } == [true, false, false])
    },

    ConformanceCase("states come in the order asked for, and unknown keys are absent") { scene async throws in
      let keys = try await scene.addKeys(3)
      _ = try await scene.store.setState(keys[1], to: .disabled)
      let states = try await scene.store.leaseStates([keys[2], KeyID(rawValue: 4711), keys[0], keys[1]])
      #expect(states.map(\.keyID) == [keys[2], keys[0], keys[1]])
      #expect(states.map(\.isActive) == [true, true, false])
      #expect(states.map(\.leaseID) == [nil, nil, nil])
      #expect(states.map(\.remaining) == [.zero, .zero, .zero])
      #expect(states.map(\.algorithm) == [.ecdsaP256, .ecdsaP256, .ecdsaP256])
    },
  ]
}

extension [KeyID] {
  fileprivate func leased(in scene: Scene) async throws -> [Lease] {
    var leases: [Lease] = []
    for key in self { leases.append(try await scene.lease(key)) }
    return leases
  }
}
