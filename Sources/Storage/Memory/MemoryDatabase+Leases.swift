public import Domain

extension MemoryDatabase {
  /// See `KeyStore`.
  public func grant(_ requests: [GrantRequest]) async throws(StorageError) -> [GrantOutcome] {
    try await step { state, now throws(StorageError) in
      requests.map { state.grant($0, now) }
    }
  }

  /// See `KeyStore`.
  public func renew(_ id: KeyID, lease: LeaseID, ttl: Duration) async throws(StorageError) -> Bool {
    try await step { state, now throws(StorageError) in
      guard let key = state.keys[id], key.leaseID == lease, key.isLive(at: now.instant) else { return false }
      state.keys[id]?.leaseUntil = now.instant.advanced(by: ttl)
      return true
    }
  }

  /// See `KeyStore`.
  public func endLeases(_ leases: [LeaseName]) async throws(StorageError) -> [Bool] {
    try await step { state, _ throws(StorageError) in
      leases.map { lease in
        guard state.keys[lease.keyID]?.leaseID == lease.leaseID else { return false }
        state.keys[lease.keyID]?.leaseUntil = nil
        state.keys[lease.keyID]?.change(lease.leaseID) { $0.ending = $0.ending ?? .released }
        return true
      }
    }
  }

  /// See `KeyStore`.
  public func recordReleases(_ releases: [LeaseRelease]) async throws(StorageError) {
    try await step { state, now throws(StorageError) in
      for release in releases { state.record(release, at: now.tick) }
    }
  }

  /// See `KeyStore`.
  public func beginGeneration(
    _ algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> (generation: Int64, keys: [LeasedKeyState]) {
    try await step { state, now throws(StorageError) in
      state.lastGeneration += 1
      let generation = state.lastGeneration
      state.generations[algorithm] = generation
      var order: [(lastUse: DecisionNumber, id: KeyID)] = []
      for id in state.keyIDs where state.keys[id]?.algorithm == algorithm {
        state.keys[id]?.generation = generation
        guard let key = state.keys[id], key.state == .active else { continue }
        let never = DecisionNumber(generation: 0, sequence: 0)
        order.append((key.leases.last.map { $0.freed ?? $0.granted } ?? never, id))
      }
      order.sort { ($0.lastUse, $0.id) < ($1.lastUse, $1.id) }
      let keys = order.compactMap { state.keys[$0.id]?.leasedState(at: now.instant) }
      state.note(.begin, generation: generation, sequence: 0, keyID: 0, rank: Int64(keys.count), at: now.tick)
      for (place, key) in keys.enumerated() {
        state.note(
          key.leaseID == nil ? .free : .held, generation: generation, sequence: 0, keyID: key.keyID.rawValue,
          rank: key.installedRank(at: place), leaseID: key.leaseID, at: now.tick)
      }
      return (generation, keys)
    }
  }

  /// See `KeyStore`.
  public func joinGeneration(_ ids: [KeyID], decision: DecisionNumber) async throws(StorageError) {
    try await step { state, now throws(StorageError) in
      for id in ids {
        guard let key = state.keys[id], key.state == .active,
          state.generations[key.algorithm] == decision.generation
        else { continue }
        state.keys[id]?.generation = decision.generation
        let known = key.leasedState(at: now.instant)
        state.note(
          known.isLive ? .held : .free, generation: decision.generation, sequence: decision.sequence,
          keyID: id.rawValue, rank: known.joinedRank(decision), leaseID: known.leaseID, at: now.tick)
      }
      state.note(
        .noted, generation: decision.generation, sequence: decision.sequence, keyID: 0, rank: 0, at: now.tick)
    }
  }

  /// See `KeyStore`.
  public func leaseStates(_ ids: [KeyID]) async throws(StorageError) -> [LeasedKeyState] {
    try await look { state, now throws(StorageError) in
      ids.compactMap { state.keys[$0]?.leasedState(at: now.instant) }
    }
  }
}

extension LeasedKeyState {
  /// The rank that a cache gives the key when it is filled, `place` being counted from 0; see `LeaseCache.install`.
  package func installedRank(at place: Int) -> Int64 { epoch.rawValue == 0 ? 0 : Int64(place) + 1 }

  /// The rank that a cache gives the key when it takes it up later; see `LeaseCache.update`.
  package func joinedRank(_ decision: DecisionNumber) -> Int64 { epoch.rawValue == 0 ? 0 : decision.sequence }

  /// Whether a cache that takes up the key later counts it as leased.
  package var isLive: Bool { leaseID != nil && remaining > .zero }
}

extension MemoryKey {
  fileprivate mutating func change(_ lease: LeaseID, _ body: (inout MemoryLease) -> Void) {
    guard let index = leases.lastIndex(where: { $0.id == lease }) else { return }
    body(&leases[index])
  }
}

extension MemoryState {
  fileprivate mutating func grant(_ request: GrantRequest, _ now: Moment) -> GrantOutcome {
    guard var key = keys[request.keyID] else {
      noteFailedPick(request, at: now.tick)
      return .stale(nil)
    }
    // The same grant again: the answer to the first was lost.
    if key.leaseID == request.leaseID, key.epoch == request.epoch.rawValue + 1 {
      return .granted(Epoch(rawValue: key.epoch))
    }
    guard key.state == .active, key.epoch == request.epoch.rawValue, !key.isLive(at: now.instant),
      key.generation == request.decision.generation
    else {
      noteFailedPick(request, at: now.tick)
      return .stale(key.leasedState(at: now.instant))
    }
    if let newest = key.leases.indices.last, key.leases[newest].ending == nil {
      key.leases[newest].ending = .superseded
    }
    key.epoch += 1
    key.leaseID = request.leaseID
    key.leaseUntil = now.instant.advanced(by: request.ttl)
    key.leases.append(
      MemoryLease(
        id: request.leaseID, epoch: key.epoch, holder: request.holder, granted: request.decision,
        rank: request.rank, grantedTick: now.tick))
    keys[request.keyID] = key
    return .granted(Epoch(rawValue: key.epoch))
  }

  private mutating func noteFailedPick(_ request: GrantRequest, at tick: Int64) {
    note(
      .failedPick, generation: request.decision.generation, sequence: request.decision.sequence,
      keyID: request.keyID.rawValue, rank: request.rank, at: tick)
  }

  fileprivate mutating func record(_ release: LeaseRelease, at tick: Int64) {
    let lease = release.lease
    guard keys[lease.keyID]?.lease(lease.leaseID) != nil else {
      // The cache has freed a key from a pick that was never granted.
      note(
        .free, generation: release.decision.generation, sequence: release.decision.sequence,
        keyID: lease.keyID.rawValue, rank: release.decision.sequence, at: tick)
      return
    }
    keys[lease.keyID]?.change(lease.leaseID) { known in
      guard known.freed == nil else { return }
      known.freed = release.decision
      known.ending = release.isExpiry ? .expired : .released
    }
  }

  /// Adds a decision to the trail, once.
  fileprivate mutating func note(
    _ kind: LeaseReplay.Event.Kind, generation: Int64, sequence: Int64, keyID: Int64, rank: Int64,
    leaseID: LeaseID? = nil, at tick: Int64
  ) {
    guard decisionNames.insert(MemoryDecision.Name(generation: generation, sequence: sequence, keyID: keyID)).inserted
    else { return }
    decisions.append(
      MemoryDecision(
        generation: generation, sequence: sequence, kind: kind, keyID: keyID, rank: rank, leaseID: leaseID,
        tick: tick))
  }
}
