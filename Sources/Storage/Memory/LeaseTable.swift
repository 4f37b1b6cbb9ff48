import Domain

/// What a lease cache knows of one algorithm, as a value: every step is a function of what is known, the request and the
/// time. The scripts of the Redis cache make the same steps, number for number.
struct LeaseTable: Sendable {
  typealias Instant = ContinuousClock.Instant

  /// A key; free if it has no lease.
  struct Entry: Sendable {
    var epoch: Epoch
    var lease: Lease?
  }

  /// A lease as it was picked.
  struct Lease: Sendable {
    var id: LeaseID
    var pick: LeasePick
  }

  /// Nil until something is installed.
  var generation: Int64?
  var sequence: Int64 = 0
  var tickets: Int64 = 0
  var keys: [KeyID: Entry] = [:]
  /// By rank.
  var free = ScoredSet<Int64, KeyID>()
  /// By the end of the lease.
  var live = ScoredSet<Instant, KeyID>()
  var picks: [LeaseID: KeyID] = [:]
  /// By ticket.
  var line = ScoredSet<Int64, WaiterID>()
  /// When each KeyKeeper last called while there was a line. Entries go when they are too old to matter.
  var lastCalls: [String: Instant] = [:]
  /// Who was first in line, and when it asked itself or was first seen there.
  var head: (waiter: WaiterID, asked: Instant)?
  let limits: LeaseCacheLimits
  /// Whether it is broken on purpose: see `Sabotage`.
  let picksNewest: Bool

  init(limits: LeaseCacheLimits, picksNewest: Bool = false) {
    self.limits = limits
    self.picksNewest = picksNewest
  }

  mutating func nextDecision(_ generation: Int64) -> DecisionNumber {
    sequence += 1
    return DecisionNumber(generation: generation, sequence: sequence)
  }

  // MARK: - Waiting and taking

  mutating func take(_ request: TakeRequest, at now: Instant) -> TakeOutcome {
    guard let generation else { return TakeOutcome(result: .mustRebuild, expired: []) }
    let expired = expire(generation, at: now)
    if !line.isEmpty {
      lastCalls[request.waiter.keyKeeper] = now
      dropSilentKeyKeepers(at: now)
      dropSilentHead(unless: request.waiter, at: now)
    }
    return TakeOutcome(result: pickOrQueue(request, generation, at: now), expired: expired)
  }

  private mutating func pickOrQueue(
    _ request: TakeRequest, _ generation: Int64, at now: Instant
  ) -> TakeOutcome.Result {
    if let keyID = picks[request.leaseID], let lease = keys[keyID]?.lease { return .picked(lease.pick) }
    let place = line.score(of: request.waiter)
    let earlier = request.ticket.flatMap { (1...max(tickets, 1)).contains($0) ? $0 : nil }
    let ticket = place ?? earlier ?? tickets + 1
    let isFirst = line.first.map { ticket <= $0.score } ?? true
    if isFirst, let next = picksNewest ? free.last : free.first {
      tickets = max(tickets, ticket)
      line.remove(request.waiter)
      return .picked(pick(next.member, rank: next.score, ticket, request, generation, at: now))
    }
    if place == nil {
      guard line.count < limits.waiters else { return .lineFull(limit: limits.waiters) }
      tickets = max(tickets, ticket)
      line.insert(request.waiter, score: ticket)
      lastCalls[request.waiter.keyKeeper] = now
    }
    let nextExpiry = live.first.map { max(now.duration(to: $0.score), .zero) }
    return .queued(position: line.position(of: request.waiter) ?? 0, ticket: ticket, nextExpiry: nextExpiry)
  }

  private mutating func pick(
    _ keyID: KeyID, rank: Int64, _ ticket: Int64, _ request: TakeRequest, _ generation: Int64, at now: Instant
  ) -> LeasePick {
    guard var entry = keys[keyID] else { preconditionFailure("free key \(keyID) is not among the keys") }
    let pick = LeasePick(
      keyID: keyID, epoch: entry.epoch, decision: nextDecision(generation), rank: rank, ticket: ticket)
    // What the grant will mint.
    entry.epoch = Epoch(rawValue: entry.epoch.rawValue + 1)
    entry.lease = Lease(id: request.leaseID, pick: pick)
    keys[keyID] = entry
    free.remove(keyID)
    live.insert(keyID, score: now.advanced(by: min(request.ttl, limits.maximumTTL)))
    picks[request.leaseID] = keyID
    return pick
  }

  private mutating func expire(_ generation: Int64, at now: Instant) -> [LeaseRelease] {
    var expired: [LeaseRelease] = []
    while expired.count < limits.expirationsPerStep, let next = live.first, next.score <= now {
      guard let lease = keys[next.member]?.lease else { preconditionFailure("live key \(next.member) has no lease") }
      let decision = nextDecision(generation)
      makeFree(next.member, rank: decision.sequence)
      expired.append(
        LeaseRelease(lease: LeaseName(keyID: next.member, leaseID: lease.id), decision: decision, isExpiry: true))
    }
    return expired
  }

  private mutating func dropSilentKeyKeepers(at now: Instant) {
    let silent = Set(lastCalls.filter { $0.value.duration(to: now) > limits.keyKeeperTimeout }.keys)
    guard !silent.isEmpty else { return }
    for waiter in line.members where silent.contains(waiter.keyKeeper) { line.remove(waiter) }
    for keyKeeper in silent { lastCalls[keyKeeper] = nil }
  }

  private mutating func dropSilentHead(unless caller: WaiterID, at now: Instant) {
    guard let first = line.first?.member else { return }
    if first != caller, let head, head.waiter == first {
      guard head.asked.duration(to: now) > limits.keyKeeperTimeout else { return }
      line.remove(first)
    }
    head = line.first.map { ($0.member, now) }
  }

  mutating func leave(_ waiter: WaiterID) { line.remove(waiter) }

  // MARK: - The life of a lease

  mutating func renew(_ lease: LeaseName, ttl: Duration, at now: Instant) -> Bool {
    guard generation != nil, keys[lease.keyID]?.lease?.id == lease.leaseID else { return false }
    live.insert(lease.keyID, score: now.advanced(by: min(ttl, limits.maximumTTL)))
    return true
  }

  mutating func release(_ lease: LeaseName) -> DecisionNumber? {
    guard let generation, keys[lease.keyID]?.lease?.id == lease.leaseID else { return nil }
    let decision = nextDecision(generation)
    makeFree(lease.keyID, rank: decision.sequence)
    return decision
  }

  mutating func makeFree(_ keyID: KeyID, rank: Int64) {
    endLease(keyID)
    free.insert(keyID, score: rank)
  }

  mutating func endLease(_ keyID: KeyID) {
    live.remove(keyID)
    if let lease = keys[keyID]?.lease { picks[lease.id] = nil }
    keys[keyID]?.lease = nil
  }

  var occupancy: LeaseOccupancy? {
    generation.map { _ in LeaseOccupancy(free: free.count, leased: live.count, waiting: line.count) }
  }
}

extension WaiterID: Comparable {
  /// An order to tell apart waiters with the same ticket; it means nothing else.
  public static func < (left: WaiterID, right: WaiterID) -> Bool { left.description < right.description }
}
