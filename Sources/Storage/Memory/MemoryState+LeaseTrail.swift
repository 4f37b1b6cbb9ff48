import Domain

// Puts the trail of key use into the form that `LeaseReplay` reads.
extension MemoryState {
  func auditLeastRecentlyUsed(at instant: ContinuousClock.Instant) -> AuditReport.Finding {
    var replay = LeaseReplay()
    for event in leaseTrail(at: instant) { replay.consume(event) }
    return AuditReport.Finding(
      invariant: .leastRecentlyUsed, checked: replay.grants, violations: replay.inversions,
      undecidable: replay.undecidable, examples: replay.examples)
  }

  private func leaseTrail(at instant: ContinuousClock.Instant) -> [LeaseReplay.Event] {
    var events: [LeaseReplay.Event] = []
    var otherUses: [Int64: [KeyUse]] = [:]
    for decision in decisions {
      switch decision.kind {
      case .failedPick, .held: otherUses[decision.keyID, default: []].append(KeyUse(decision))
      case .begin, .free, .granted, .noted:
        let key = keys[KeyID(rawValue: decision.keyID)]
        events.append(
          LeaseReplay.Event(
            generation: decision.generation, sequence: decision.sequence, kind: decision.kind, keyID: decision.keyID,
            rank: decision.rank, usableUntil: key?.outOfUse(after: decision.tick)))
      }
    }
    for key in keyIDs.compactMap({ keys[$0] }) {
      let uses = key.leases.map { KeyUse($0) } + otherUses[key.id.rawValue, default: []]
      events += key.events(of: uses.sorted { $0.decision < $1.decision }, at: instant)
    }
    events.sort {
      ($0.generation, $0.sequence, $0.kind.rawValue, $0.keyID)
        < ($1.generation, $1.sequence, $1.kind.rawValue, $1.keyID)
    }
    events.setMadeBefore(grantedTicks)
    return events
  }

  private var grantedTicks: [DecisionNumber: Int64] {
    var ticks: [DecisionNumber: Int64] = [:]
    for lease in keys.values.flatMap(\.leases) { ticks[lease.granted] = lease.grantedTick }
    return ticks
  }
}

/// A time for which a key is not free: it was picked, or was held when the cache took it up.
private struct KeyUse {
  var decision: DecisionNumber
  var kind: LeaseReplay.Event.Kind
  var rank: Int64
  /// Nil if nothing came of the pick.
  var leaseID: LeaseID?
  var tick: Int64

  init(_ lease: MemoryLease) {
    decision = lease.granted
    kind = .granted
    rank = lease.rank
    leaseID = lease.id
    tick = lease.grantedTick
  }

  init(_ noted: MemoryDecision) {
    decision = DecisionNumber(generation: noted.generation, sequence: noted.sequence)
    kind = noted.kind
    rank = noted.rank
    leaseID = noted.leaseID
    tick = noted.tick
  }
}

extension MemoryKey {
  /// The uses, and between them the decisions that made the key free.
  fileprivate func events(of uses: [KeyUse], at instant: ContinuousClock.Instant) -> [LeaseReplay.Event] {
    var events: [LeaseReplay.Event] = []
    for (index, use) in uses.enumerated() {
      let recorded = use.leaseID.flatMap { lease($0)?.freed }
      var freed = recorded?.generation == use.decision.generation ? recorded?.sequence : nil
      if recorded == nil, index + 1 < uses.count {
        // The cache said with the next pick since when the key was free.
        let next = uses[index + 1]
        let isPick = next.kind == .granted || next.kind == .failedPick
        if isPick, next.decision.generation == use.decision.generation, next.rank > use.decision.sequence {
          freed = next.rank
        }
      }
      let isLive = use.leaseID != nil && use.leaseID == leaseID && isLive(at: instant)
      events.append(
        LeaseReplay.Event(
          generation: use.decision.generation, sequence: use.decision.sequence, kind: use.kind, keyID: id.rawValue,
          rank: use.rank, isEndKnown: recorded != nil || freed != nil || isLive))
      guard let freed else { continue }
      events.append(
        LeaseReplay.Event(
          generation: use.decision.generation, sequence: freed, kind: .free, keyID: id.rawValue, rank: freed,
          usableUntil: outOfUse(after: use.tick)))
    }
    return events
  }
}

extension [LeaseReplay.Event] {
  /// Says of each grant by when it was made: the earliest time of any grant from it on in its generation.
  fileprivate mutating func setMadeBefore(_ times: [DecisionNumber: Int64]) {
    var earliest: (generation: Int64, time: Int64)?
    for index in indices.reversed() where self[index].kind == .granted {
      let event = self[index]
      let number = DecisionNumber(generation: event.generation, sequence: event.sequence)
      guard let time = times[number] else { continue }
      let isSame = earliest?.generation == event.generation
      earliest = (event.generation, isSame ? Swift.min(earliest?.time ?? time, time) : time)
      self[index].madeBefore = earliest?.time
    }
  }
}
