import Domain

extension LeaseTable {
  /// Replaces what is known of the keys; see `LeaseCache.install`.
  mutating func install(
    generation newGeneration: Int64, keys states: [LeasedKeyState], unreleasedTTL: Duration, at now: Instant
  ) -> Bool {
    if let generation, generation >= newGeneration { return false }
    generation = newGeneration
    sequence = Int64(states.count)
    keys = [:]
    picks = [:]
    free.removeAll()
    live.removeAll()
    for (index, state) in states.enumerated() {
      takeUp(
        state, rank: state.epoch.rawValue == 0 ? 0 : Int64(index) + 1,
        remaining: state.leaseID == nil ? nil : max(state.remaining, unreleasedTTL), newGeneration, at: now)
    }
    return true
  }

  /// Takes over what the store says of keys; see `LeaseCache.update`.
  mutating func update(_ updates: [KeyUpdate], at now: Instant) -> UpdateOutcome {
    guard let generation, updates.allSatisfy({ $0.state.generation <= generation }) else { return .mustRebuild }
    // Taken only if a key is taken up: a number without a key behind it would look like a decision that was lost.
    let decision = DecisionNumber(generation: generation, sequence: sequence + 1)
    var joined: [KeyID] = []
    for update in updates {
      let state = update.state
      guard state.isActive else {
        forget(state.keyID)
        continue
      }
      if let known = keys[state.keyID], !replaces(known, update, generation) { continue }
      forget(state.keyID)
      let isLeased = state.leaseID != nil && state.remaining > .zero
      takeUp(
        state, rank: state.epoch.rawValue == 0 ? 0 : decision.sequence,
        remaining: isLeased ? state.remaining : nil, generation, at: now)
      joined.append(state.keyID)
    }
    if joined.isEmpty { return .known }
    sequence = decision.sequence
    return .joined(joined, decision)
  }

  /// At the same epoch the cache knows better: releases and expiries reach it last. But a key of an older generation has not
  /// been made grantable yet.
  private func replaces(_ known: Entry, _ update: KeyUpdate, _ generation: Int64) -> Bool {
    if let lease = known.lease, lease.id == update.deadLease { return true }
    if update.state.epoch == known.epoch { return update.state.generation < generation && known.lease == nil }
    return update.state.epoch > known.epoch
  }

  private mutating func forget(_ keyID: KeyID) {
    endLease(keyID)
    free.remove(keyID)
    keys[keyID] = nil
  }

  /// Adds a key that is not known, leased for `remaining` or free.
  private mutating func takeUp(
    _ state: LeasedKeyState, rank: Int64, remaining: Duration?, _ generation: Int64, at now: Instant
  ) {
    guard let leaseID = state.leaseID, let remaining else {
      keys[state.keyID] = Entry(epoch: state.epoch, lease: nil)
      free.insert(state.keyID, score: rank)
      return
    }
    // Nobody asks for this pick again: whoever made it has its grant.
    let pick = LeasePick(
      keyID: state.keyID, epoch: state.epoch, decision: DecisionNumber(generation: generation, sequence: 0), rank: 0,
      ticket: 0)
    keys[state.keyID] = Entry(epoch: state.epoch, lease: Lease(id: leaseID, pick: pick))
    live.insert(state.keyID, score: now.advanced(by: min(remaining, limits.maximumTTL)))
  }
}
