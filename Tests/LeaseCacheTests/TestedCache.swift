import Domain
import LocalServers
import RedisDriver
import RedisLeases
import Storage
import Synchronization
import Testing
import TimeAndChance

/// The caches that must behave alike.
enum TestedCache: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case memory
  case redis

  var testDescription: String { rawValue }

  /// Makes an empty cache whose time stands still unless the test moves it, and lends it to `body`.
  func run(
    limits: LeaseCacheLimits = LeaseCacheLimits(), _ body: @Sendable (any LeaseCache, HandTime) async throws -> Void
  ) async throws {
    let time = HandTime()
    switch self {
    case .memory: try await body(MemoryLeaseCache(clock: time, limits: limits), time)
    case .redis:
      try await PrivateRedis.with { server in
        try await withRedisCache(server, time, limits: limits) { cache, _ in try await body(cache, time) }
      }
    }
  }
}

/// Lends a cache on a server whose time is `time`.
func withRedisCache<Value: Sendable>(
  _ server: PrivateRedis, _ time: HandTime, limits: LeaseCacheLimits = LeaseCacheLimits(),
  _ body: @Sendable (RedisLeaseCache, RedisPool) async throws -> Value
) async throws -> Value {
  let pool = RedisPool(try RedisConfiguration(server.connectionString))
  let cache = RedisLeaseCache(
    pool: pool, prefix: "test", limits: limits, timeout: .seconds(60), microseconds: { time.microseconds })
  do {
    let value = try await body(cache, pool)
    await pool.close()
    return value
  } catch {
    await pool.close()
    throw error
  }
}

/// A clock that the test sets.
final class HandTime: ServiceClock {
  private let origin = ContinuousClock.now
  private let elapsed = Mutex(Int64(1_700_000_000_000_000))

  /// As a Redis server would tell it.
  var microseconds: Int64 { elapsed.withLock { $0 } }
  var now: ContinuousClock.Instant { origin.advanced(by: .microseconds(microseconds)) }
  var minimumResolution: Duration { .microseconds(1) }

  func advance(by duration: Duration) {
    let (seconds, attoseconds) = duration.components
    elapsed.withLock { $0 += seconds * 1_000_000 + attoseconds / 1_000_000_000_000 }
  }

  func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
    preconditionFailure("a lease cache does not sleep")
  }
}

/// What tests of a cache say often.
extension LeaseCache {
  func take(_ request: TakeRequest) async throws -> TakeOutcome { try await take([request])[0] }

  func release(_ lease: LeaseName) async throws -> DecisionNumber? {
    try await release([lease], algorithm: .ed25519)[0]
  }

  func renew(_ lease: LeaseName, ttl: Duration) async throws -> Bool {
    try await renew(lease, algorithm: .ed25519, ttl: ttl)
  }

  func install(
    _ generation: Int64, _ keys: [LeasedKeyState], unreleasedTTL: Duration = .seconds(10)
  ) async throws -> Bool {
    try await install(generation: generation, algorithm: .ed25519, keys: keys, unreleasedTTL: unreleasedTTL)
  }

  func update(_ updates: KeyUpdate...) async throws -> UpdateOutcome {
    try await update(updates, algorithm: .ed25519)
  }

  func occupancy() async throws -> LeaseOccupancy? { try await occupancy(.ed25519) }
}

/// A request by waiter `number` of a KeyKeeper, whose lease is named after both.
func request(
  _ number: Int64, of keyKeeper: String = "a", ttl: Duration = .seconds(10), ticket: Int64? = nil, again: UInt8 = 0
) -> TakeRequest {
  TakeRequest(
    algorithm: .ed25519, waiter: WaiterID(keyKeeper: keyKeeper, number: number),
    leaseID: lease(number, of: keyKeeper, again: again), ttl: ttl, ticket: ticket)
}

/// The lease that `request` with the same values asks for.
func lease(_ number: Int64, of keyKeeper: String = "a", again: UInt8 = 0) -> LeaseID {
  let name = keyKeeper.utf8.prefix(7)
  let bytes = Array(name) + [UInt8](repeating: 0, count: 7 - name.count) + [again]
  return LeaseID(bytes: bytes + withUnsafeBytes(of: number.bigEndian) { Array($0) })!
}

/// A key as the store tells it.
func state(
  _ id: Int64, epoch: Int64 = 0, generation: Int64 = 1, lease: LeaseID? = nil, remaining: Duration = .zero,
  isActive: Bool = true
) -> LeasedKeyState {
  LeasedKeyState(
    keyID: KeyID(rawValue: id), algorithm: .ed25519, isActive: isActive, epoch: Epoch(rawValue: epoch),
    generation: generation, leaseID: lease, remaining: remaining)
}

/// What `update` says of keys that it took up.
func joined(_ sequence: Int64, _ keys: Int64..., generation: Int64 = 1) -> UpdateOutcome {
  .joined(keys.map { KeyID(rawValue: $0) }, DecisionNumber(generation: generation, sequence: sequence))
}

func name(_ key: Int64, _ lease: LeaseID) -> LeaseName { LeaseName(keyID: KeyID(rawValue: key), leaseID: lease) }

extension TakeOutcome {
  /// The key picked, nil if none was.
  var key: Int64? {
    if case .picked(let pick) = result { pick.keyID.rawValue } else { nil }
  }

  var pick: LeasePick? {
    if case .picked(let pick) = result { pick } else { nil }
  }

  /// The place in line, nil if it is not in line.
  var position: Int? {
    if case .queued(let position, _, _) = result { position } else { nil }
  }

  var ticket: Int64? {
    if case .queued(_, let ticket, _) = result { ticket } else { nil }
  }

  var nextExpiry: Duration? {
    if case .queued(_, _, let next) = result { next } else { nil }
  }
}
