import Domain
import RPC
import Storage

/// Those who wait here for a key of one algorithm, as a value: it decides whom to ask for next and when.
///
/// The cache keeps the one line of all KeyKeepers; this is our part of it, in the same order. Each caller asks the cache once
/// when it comes, which gives it a place; from then on only the first asks for all. When one gets a key, the next asks at
/// once, and twice as many in the round after, for where one key became free there may be more.
///
/// If the cache has lost the line, or has dropped us from it, the first who asks gets another ticket. Then everybody asks.
struct WaitingLine {
  typealias Instant = ContinuousClock.Instant

  /// A call that waits.
  struct Waiter: Sendable {
    let number: Int64
    let holder: SignerID
    let ttl: Duration
    let arrived: Instant
    /// When it stops waiting.
    let deadline: Instant
    /// The trace of the call.
    let trace: TraceContext?
    let reply: Reply<AcquireOutcome>
    /// The lease to be; another one after a pick that could not be granted.
    var leaseID: LeaseID
    /// Its ticket in the line of the cache, if it has one.
    var ticket: Int64?
    /// Whether it claims that ticket, from a pick that could not be granted.
    var isClaiming = false
    /// Whether it was ever put in line.
    var wasQueued = false
    /// Whether it asked for itself, and so has a place in the line of the cache.
    var isAsked = false
    /// Whether a request for it was sent, so that it must leave the line if it goes.
    var mayBeInLine = false
    /// Rounds in a row that failed since it came.
    var failures = 0
    /// Picks that could not be granted.
    var staleGrants = 0
  }

  /// What to do next.
  enum Step: Sendable {
    /// Take these out of the line of the cache.
    case leave([WaiterID])
    /// Rebuild the cache.
    case rebuild(RebuildReason)
    /// Ask for these.
    case take([TakeRequest])
    /// Nothing, until something happens or it is time.
    case wait(until: Instant?)
  }

  /// Why the cache is rebuilt.
  enum RebuildReason: Int, Sendable, Comparable {
    /// It said that it must be; somebody else may have done it since.
    case isLost
    /// It does not know what it should.
    case isWrong

    static func < (left: RebuildReason, right: RebuildReason) -> Bool { left.rawValue < right.rawValue }
  }

  /// What came of a round.
  struct Round: Sendable {
    var picked: [(waiter: Waiter, pick: LeasePick)] = []
    /// The line of the cache was full: as many wait there as may.
    var refused: [(waiter: Waiter, limit: Int)] = []
    var expired: [LeaseRelease] = []
    /// How many were put in line.
    var queued = 0
    /// The cache has no key at all.
    var hasNoKeys = false
  }

  /// The most requests of a round.
  static let requestsPerRound = 128
  /// The most who ask again in a round.
  static let pollsPerRound = 64

  let algorithm: SignatureAlgorithm
  let keyKeeper: String
  let slack: Duration
  /// The most who may have to leave the line of the cache; it drops older ones by itself, for they do not ask.
  let limit: Int
  /// In the order of their places.
  private(set) var waiters: [Waiter] = []
  private(set) var rebuildReason: RebuildReason?
  private var leaving: [WaiterID] = []
  private var abandoned: Set<Int64> = []
  private var pollAt: Instant?
  private var pollCount = 1
  /// Keys that became free here since the round under way began.
  private var released = 0
  private var retryAt: Instant?
  private(set) var failuresInARow = 0
  private var nextNumber: Int64 = 0

  init(algorithm: SignatureAlgorithm, keyKeeper: String, slack: Duration, limit: Int) {
    self.algorithm = algorithm
    self.keyKeeper = keyKeeper
    self.slack = slack
    self.limit = limit
  }

  // MARK: - What happens

  /// A call comes; nil if as many wait as may.
  mutating func enter(
    holder: SignerID, ttl: Duration, leaseID: LeaseID, at now: Instant, until deadline: Instant,
    trace: TraceContext? = nil
  ) -> Waiter? {
    guard waiters.count < limit else { return nil }
    nextNumber += 1
    let waiter = Waiter(
      number: nextNumber, holder: holder, ttl: ttl, arrived: now, deadline: deadline, trace: trace,
      reply: Reply(), leaseID: leaseID)
    waiters.append(waiter)
    return waiter
  }

  /// A waiter whose pick could not be granted comes back to its place under its ticket, for another lease, unless its
  /// caller has gone meanwhile.
  mutating func comeBack(_ waiter: Waiter, ticket: Int64, leaseID: LeaseID) {
    if waiter.reply.isOver { return }
    var waiter = waiter
    waiter.ticket = ticket
    waiter.isClaiming = true
    waiter.leaseID = leaseID
    waiter.isAsked = false
    waiter.mayBeInLine = false
    waiter.staleGrants += 1
    waiters.insert(waiter, at: waiters.firstIndex { !$0.isBefore(waiter) } ?? waiters.endIndex)
  }

  /// The caller of a waiter has gone.
  mutating func abandon(_ number: Int64) { abandoned.insert(number) }

  /// Keys became free here.
  mutating func hearOfRelease(_ count: Int, at now: Instant) {
    released += count
    guard waiters.contains(where: \.isAsked) else { return }
    pollAt = now
    pollCount = max(pollCount, min(released, Self.pollsPerRound))
  }

  mutating func requestRebuild(_ reason: RebuildReason) {
    rebuildReason = max(rebuildReason ?? reason, reason)
  }

  // MARK: - What to do

  /// Takes out those who have waited as long as they may.
  mutating func dismissOverdue(at now: Instant) -> [Waiter] {
    guard waiters.contains(where: { $0.deadline <= now }) else { return [] }
    return dismiss { $0.deadline <= now }
  }

  /// Takes out all.
  mutating func dismissAll() -> [Waiter] { dismiss { _ in true } }

  /// All will hear that they get nothing. They are here until the next step, for a key may be on its way to one of them:
  /// whoever finds that it is not wanted any more gives it back.
  mutating func abandonAll() -> [Waiter] {
    abandoned.formUnion(waiters.map(\.number))
    return waiters
  }

  mutating func nextStep(at now: Instant) -> Step {
    if !abandoned.isEmpty {
      let gone = abandoned
      abandoned = []
      _ = dismiss { gone.contains($0.number) }
    }
    let deadline = waiters.lazy.map(\.deadline).min()
    if let retryAt, retryAt > now { return .wait(until: min(retryAt, deadline ?? retryAt)) }
    if !leaving.isEmpty { return .leave(Array(leaving.prefix(Self.requestsPerRound))) }
    if let rebuildReason { return .rebuild(rebuildReason) }
    let requests = requests(at: now)
    if !requests.isEmpty { return .take(requests) }
    guard let deadline else { return .wait(until: nil) }
    return .wait(until: min(pollAt ?? deadline, deadline))
  }

  /// The first to ask again, if it is time, and those who have not asked for themselves.
  private mutating func requests(at now: Instant) -> [TakeRequest] {
    var polls = pollAt.map { $0 <= now } == true ? pollCount : 0
    released = 0
    var requests: [TakeRequest] = []
    for index in waiters.indices where requests.count < Self.requestsPerRound {
      if waiters[index].isAsked {
        if polls == 0 { continue }
        polls -= 1
      }
      waiters[index].mayBeInLine = true
      let waiter = waiters[index]
      requests.append(
        TakeRequest(
          algorithm: algorithm, waiter: id(of: waiter), leaseID: waiter.leaseID, ttl: waiter.ttl + slack,
          ticket: waiter.isClaiming ? waiter.ticket : nil))
    }
    return requests
  }

  // MARK: - What came of it

  /// The cache has answered. The first of those still in line asks again after `interval`, or when a lease expires.
  mutating func answer(
    _ outcomes: [TakeOutcome], to requests: [TakeRequest], at now: Instant, interval: Duration
  ) -> Round {
    succeeded()
    var round = Round()
    var results: [Int64: TakeOutcome.Result] = [:]
    var nextPoll = interval
    for (request, outcome) in zip(requests, outcomes) {
      results[request.waiter.number] = outcome.result
      round.expired += outcome.expired
    }
    var polled = 0
    var served = 0
    var isLost = false
    var rest: [Waiter] = []
    rest.reserveCapacity(waiters.count)
    for var waiter in waiters {
      guard let result = results[waiter.number] else {
        rest.append(waiter)
        continue
      }
      if waiter.isAsked { polled += 1 }
      switch result {
      case .picked(let pick):
        if waiter.isAsked { served += 1 }
        round.picked.append((waiter, pick))
        continue
      case .queued(let position, let ticket, let nextExpiry):
        if !waiter.wasQueued { round.queued += 1 }
        if waiter.isAsked && waiter.ticket != ticket { isLost = true }
        waiter.isAsked = true
        waiter.wasQueued = true
        waiter.isClaiming = false
        waiter.ticket = ticket
        if let nextExpiry {
          nextPoll = min(nextPoll, max(nextExpiry, .milliseconds(1)))
        } else if position == 0 {
          round.hasNoKeys = true
        }
      case .lineFull(let limit):
        round.refused.append((waiter, limit))
        continue
      case .mustRebuild: requestRebuild(.isLost)
      }
      rest.append(waiter)
    }
    waiters = rest
    if isLost { askAgain(except: { results[$0] != nil }) }
    // Whoever asked in the meantime may have come before those who ask again.
    if !waiters.indices.dropFirst().allSatisfy({ waiters[$0 - 1].isBefore(waiters[$0]) }) {
      waiters.sort { $0.isBefore($1) }
    }
    planPoll(polled: polled, served: served, after: nextPoll, at: now)
    return round
  }

  private mutating func planPoll(polled: Int, served: Int, after interval: Duration, at now: Instant) {
    guard waiters.contains(where: \.isAsked) else {
      pollAt = nil
      pollCount = 1
      return
    }
    if released > 0 || (polled > 0 && served == polled) {
      pollAt = now
      pollCount = min(max(2 * served, released, 1), Self.pollsPerRound)
    } else {
      let next = now.advanced(by: interval)
      pollAt = polled > 0 ? next : min(pollAt ?? next, next)
      pollCount = 1
    }
  }

  /// The cache has taken these out of its line.
  mutating func left(_ ids: [WaiterID]) {
    succeeded()
    let gone = Set(ids)
    leaving.removeAll { gone.contains($0) }
  }

  /// The cache was rebuilt, or found to be in order: everybody asks again, for the line may be lost.
  mutating func rebuilt() {
    succeeded()
    rebuildReason = nil
    askAgain()
  }

  /// A step could not be done. Nothing is tried before `retryAt`; returns those for whom it failed too often.
  mutating func failed(retryAt: Instant, attempts: Int) -> [Waiter] {
    failuresInARow += 1
    self.retryAt = retryAt
    for index in waiters.indices { waiters[index].failures += 1 }
    return dismiss { $0.failures >= attempts }
  }

  private mutating func succeeded() {
    failuresInARow = 0
    retryAt = nil
    for index in waiters.indices { waiters[index].failures = 0 }
  }

  private mutating func askAgain(except isKnown: (Int64) -> Bool = { _ in false }) {
    for index in waiters.indices where !isKnown(waiters[index].number) {
      waiters[index].isAsked = false
      if !waiters[index].isClaiming { waiters[index].ticket = nil }
    }
  }

  private mutating func dismiss(_ isDismissed: (Waiter) -> Bool) -> [Waiter] {
    let dismissed = waiters.filter(isDismissed)
    waiters.removeAll(where: isDismissed)
    leaving += dismissed.filter(\.mayBeInLine).map { id(of: $0) }
    leaving = leaving.suffix(limit)
    return dismissed
  }

  func id(of waiter: Waiter) -> WaiterID { WaiterID(keyKeeper: keyKeeper, number: waiter.number) }
}

extension WaitingLine.Waiter {
  /// The order of the line; who has no ticket yet comes last.
  fileprivate func isBefore(_ other: Self) -> Bool {
    (ticket ?? .max, number) < (other.ticket ?? .max, other.number)
  }
}
