import Domain
import Storage
import Testing

// The audit of the order of use, from what the store keeps of the cache's decisions: inversions are found, and what a crash
// has left out makes a grant undecidable and not wrong.
extension ConformanceCase {
  static let leastRecentlyUsed = [
    ConformanceCase("keys used in turn are used in order, across generations") { scene async throws in
      let keys = try await scene.addKeys(3)
      try await scene.beginGeneration()
      var ranks: [KeyID: Int64] = [:]
      for _ in 0..<2 {
        for key in keys {
          let lease = try await scene.lease(key, rank: ranks[key] ?? 0)
          ranks[key] = try await scene.release(lease)
        }
      }
      let order = try await scene.beginGeneration()
      for (place, state) in order.enumerated() { _ = try await scene.lease(state.keyID, rank: Int64(place) + 1) }
      try await scene.expectUse(grants: 9, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a key taken before one that is free for longer is an inversion") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let first = try await scene.lease(keys[0])
      let second = try await scene.lease(keys[1])
      _ = try await scene.release(first)
      let rank = try await scene.release(second)
      _ = try await scene.lease(keys[1], rank: rank)
      try await scene.expectUse(grants: 3, inversions: 1, undecidable: 0)
    },

    ConformanceCase("among keys that are free for equally long any may be taken") { scene async throws in
      let keys = try await scene.addKeys(3)
      try await scene.beginGeneration()
      for key in keys.reversed() { _ = try await scene.lease(key) }
      try await scene.expectUse(grants: 3, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a used key taken before an unused one is an inversion") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let rank = try await scene.release(try await scene.lease(keys[0]))
      _ = try await scene.lease(keys[0], rank: rank)
      try await scene.expectUse(grants: 2, inversions: 1, undecidable: 0)
    },

    ConformanceCase("in a new generation the order of the old one goes on") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      for key in keys { _ = try await scene.release(try await scene.lease(key)) }
      #expect(try await scene.beginGeneration().map(\.keyID) == keys)
      _ = try await scene.lease(keys[1], rank: 2)
      try await scene.expectUse(grants: 3, inversions: 1, undecidable: 0)
    },

    ConformanceCase("a pick that the store refused is no use of the key") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      var failing = try await scene.request(keys[0])
      failing.epoch = Epoch(rawValue: 9)
      guard case .stale? = try await scene.store.grant([failing]).first else { throw Unexpected("granted") }
      let lease = try await scene.lease(keys[1])
      // The cache takes the key up again, and counts it as the most recently used but for never used ones.
      try await scene.store.joinGeneration([keys[0]], decision: scene.decide())
      let rank = try await scene.release(lease)
      _ = try await scene.lease(keys[0])
      _ = try await scene.lease(keys[1], rank: rank)
      try await scene.expectUse(grants: 3, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a key that is out of use need not be taken") { scene async throws in
      let keys = try await scene.addKeys(3)
      try await scene.beginGeneration()
      _ = try await scene.store.setState(keys[0], to: .disabled)
      // The cache drops the key.
      try await scene.store.joinGeneration([], decision: scene.decide())
      let rank = try await scene.release(try await scene.lease(keys[1]))
      _ = try await scene.lease(keys[2])
      _ = try await scene.lease(keys[1], rank: rank)
      try await scene.expectUse(grants: 3, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a key that was still in use when another was granted should have been taken") {
      scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let rank = try await scene.release(try await scene.lease(keys[1]))
      _ = try await scene.lease(keys[1], rank: rank)
      _ = try await scene.store.setState(keys[0], to: .disabled)
      try await scene.expectUse(grants: 2, inversions: 1, undecidable: 0)
    },

    ConformanceCase("a key that was held when a generation began is free only from its release on") {
      scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let held = try await scene.lease(keys[0])
      #expect(try await scene.beginGeneration().map(\.keyID) == [keys[1], keys[0]])
      let first = try await scene.lease(keys[1])
      let rank = try await scene.release(first)
      let again = try await scene.lease(keys[1], rank: rank)
      let later = try await scene.release(held)
      _ = try await scene.release(again)
      _ = try await scene.lease(keys[0], rank: later)
      try await scene.expectUse(grants: 4, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a release that was not written down is known from the next pick of the key") {
      scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let first = try await scene.lease(keys[0])
      let second = try await scene.lease(keys[1])
      _ = try await scene.store.endLeases([first.name])
      let freed = scene.decide().sequence
      let rank = try await scene.release(second)
      _ = try await scene.lease(keys[0], rank: freed)
      _ = try await scene.lease(keys[1], rank: rank)
      try await scene.expectUse(grants: 4, inversions: 0, undecidable: 0)
    },

    ConformanceCase("a release that was lost makes undecidable what may have overtaken it") { scene async throws in
      let keys = try await scene.addKeys(3)
      try await scene.beginGeneration()
      let lost = try await scene.lease(keys[0])
      let second = try await scene.lease(keys[1])
      _ = try await scene.store.endLeases([lost.name])
      // The decision that made the first key free is nowhere.
      _ = scene.decide()
      let rank = try await scene.release(second)
      _ = try await scene.lease(keys[2])
      _ = try await scene.lease(keys[1], rank: rank)
      try await scene.expectUse(grants: 4, inversions: 0, undecidable: 1)
    },

    ConformanceCase("a pick that left no trace makes undecidable what came after it") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let rank = try await scene.release(try await scene.lease(keys[1]))
      // The first key was picked, and whoever asked for it crashed before it was granted.
      _ = scene.decide()
      let lease = try await scene.lease(keys[1], rank: rank)
      // The lease that never was expires, and from then on the key is known to be free again.
      let freed = scene.decide()
      let never = LeaseName(keyID: keys[0], leaseID: scene.id())
      try await scene.store.recordReleases([LeaseRelease(lease: never, decision: freed, isExpiry: true)])
      let later = try await scene.release(lease)
      _ = try await scene.lease(keys[0], rank: freed.sequence)
      _ = try await scene.lease(keys[1], rank: later)
      try await scene.expectUse(grants: 4, inversions: 0, undecidable: 1)
    },

    ConformanceCase("releases may be written down late and twice") { scene async throws in
      let keys = try await scene.addKeys(2)
      try await scene.beginGeneration()
      let lease = try await scene.lease(keys[0])
      let release = LeaseRelease(lease: lease.name, decision: scene.decide(), isExpiry: false)
      _ = try await scene.store.endLeases([lease.name])
      _ = try await scene.lease(keys[1])
      _ = try await scene.lease(keys[0], rank: release.decision.sequence)
      try await scene.store.recordReleases([release])
      var wrong = release
      wrong.decision = scene.decide()
      try await scene.store.recordReleases([release, wrong])
      try await scene.store.recordReleases([])
      try await scene.expectUse(grants: 3, inversions: 0, undecidable: 0)
    },
  ]
}

extension Scene {
  func expectUse(
    grants: Int64, inversions: Int64, undecidable: Int64, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let report = try await store.audit()
    let finding = try #require(report.findings.first { $0.invariant == .leastRecentlyUsed })
    #expect(
      [finding.checked, finding.violations, finding.undecidable] == [grants, inversions, undecidable],
      "\(finding.examples)", sourceLocation: sourceLocation)
  }
}
