import Domain
import LocalServers
import Storage
import Testing
import TimeAndChance

/// Proves that both caches are the same machine: thousands of random steps of every kind, with time and its leaps, give
/// equal answers to the last number.
@Suite struct LeaseCacheAgreementTests {
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func randomStepsOfEveryKindHaveEqualAnswers(seed: UInt64) async throws {
    let time = HandTime()
    var limits = LeaseCacheLimits()
    limits.waiters = 6
    limits.expirationsPerStep = 3
    try await PrivateRedis.with { server in
      try await withRedisCache(server, time, limits: limits) { [limits] redis, _ in
        let memory = MemoryLeaseCache(clock: time, limits: limits)
        var steps = RandomSteps(seed: seed, time: time)
        for number in 0..<3000 {
          let step = steps.next()
          let answers = (try await step.run(on: memory), try await step.run(on: redis))
          guard answers.0 == answers.1 else {
            Issue.record("step \(number), \(step): memory says \(answers.0), Redis \(answers.1)")
            return
          }
          steps.learn(step, answers.0)
        }
        #expect(steps.counts.values.allSatisfy { $0 > 20 }, "\(steps.counts)")
      }
    }
  }
}

/// One call of a cache.
private enum CacheStep: Sendable {
  case take([TakeRequest])
  case leave(WaiterID)
  case renew(LeaseName, Duration)
  case release(LeaseName)
  case install(Int64, [LeasedKeyState])
  case update([KeyUpdate])
  case occupancy

  /// The answer as text.
  func run(on cache: some LeaseCache) async throws -> CacheAnswer {
    switch self {
    case .take(let requests): return .outcomes(try await cache.take(requests))
    case .leave(let waiter):
      try await cache.leave([waiter], algorithm: .ed25519)
      return .done
    case .renew(let lease, let ttl): return .truth(try await cache.renew(lease, ttl: ttl))
    case .release(let lease): return .decision(try await cache.release(lease))
    case .install(let generation, let keys): return .truth(try await cache.install(generation, keys))
    case .update(let updates): return .update(try await cache.update(updates, algorithm: .ed25519))
    case .occupancy: return .occupancy(try await cache.occupancy())
    }
  }
}

private enum CacheAnswer: Sendable, Hashable {
  case outcomes([TakeOutcome])
  case done
  case truth(Bool)
  case decision(DecisionNumber?)
  case update(UpdateOutcome)
  case occupancy(LeaseOccupancy?)
}

/// Chooses calls, some of which make sense.
private struct RandomSteps {
  private let random: SeededRandom
  private let time: HandTime
  private var generation: Int64 = 0
  private var number: Int64 = 0
  private var asked: [TakeRequest] = []
  private var held: [LeaseName] = []
  /// How often each kind of answer came.
  var counts = ["picked": 0, "queued": 0, "full": 0, "released": 0, "renewed": 0, "joined": 0, "expired": 0]

  init(seed: UInt64, time: HandTime) {
    random = SeededRandom(seed: seed)
    self.time = time
  }

  mutating func next() -> CacheStep {
    let leap = random.next(below: 40) == 0 ? random.next(below: 4_000_000) : random.next(below: 60_000)
    time.advance(by: .microseconds(leap))
    if generation == 0 { return install() }
    switch random.next(below: 100) {
    case 0..<55: return .take((0...random.next(below: 3)).map { _ in wish() })
    case 55..<75: return .release(held.isEmpty ? name(1, lease(0)) : held[random.next(below: held.count)])
    case 75..<82: return .renew(held.isEmpty ? name(1, lease(0)) : held[random.next(below: held.count)], ttl())
    case 82..<86: return .leave(wish().waiter)
    case 86..<96: return .update((0...random.next(below: 2)).map { _ in KeyUpdate(key(), deadLease: oldLease()) })
    case 96..<98: return install()
    default: return .occupancy
    }
  }

  mutating func learn(_ step: CacheStep, _ answer: CacheAnswer) {
    switch (step, answer) {
    case (.take(let requests), .outcomes(let outcomes)):
      for (request, outcome) in zip(requests, outcomes) {
        counts["expired"]! += outcome.expired.count
        switch outcome.result {
        case .picked(let pick):
          counts["picked"]! += 1
          held.append(LeaseName(keyID: pick.keyID, leaseID: request.leaseID))
          if held.count > 12 { held.removeFirst() }
        case .queued: counts["queued"]! += 1
        case .lineFull: counts["full"]! += 1
        case .mustRebuild: break
        }
      }
    case (.release, .decision(.some)): counts["released"]! += 1
    case (.renew, .truth(true)): counts["renewed"]! += 1
    case (.update, .update(.joined(let joined, _))): counts["joined"]! += joined.count
    default: break
    }
  }

  private mutating func wish() -> TakeRequest {
    if !asked.isEmpty, random.next(below: 3) > 0 { return asked[random.next(below: asked.count)] }
    number += 1
    let ticket = random.next(below: 5) == 0 ? Int64(random.next(below: Int(number))) : nil
    let wish = request(
      number, of: ["a", "b:1", "c"][random.next(below: 3)], ttl: ttl(), ticket: ticket == 0 ? nil : ticket)
    asked.append(wish)
    if asked.count > 12 { asked.removeFirst() }
    return wish
  }

  private mutating func install() -> CacheStep {
    let newGeneration = generation + Int64(random.next(below: 3)) - 1
    generation = max(generation, newGeneration, 1)
    let ids = Set((0..<6).map { _ in Int64(random.next(below: 12)) + 1 }).sorted()
    return .install(max(newGeneration, 1), ids.map { key($0) })
  }

  private func key(_ id: Int64? = nil) -> LeasedKeyState {
    let id = id ?? Int64(random.next(below: 12)) + 1
    return state(
      id, epoch: Int64(random.next(below: 4)), generation: max(generation - Int64(random.next(below: 2)), 1),
      lease: oldLease(), remaining: .milliseconds(random.next(below: 4000) - 1000),
      isActive: random.next(below: 4) > 0)
  }

  private func oldLease() -> LeaseID? {
    guard !held.isEmpty, random.next(below: 2) == 0 else { return nil }
    return held[random.next(below: held.count)].leaseID
  }

  private func ttl() -> Duration { .milliseconds(random.next(below: 3000) + 1) }
}
