public import Domain
public import RedisDriver
public import Storage

/// The lease cache that all KeyKeepers share: sorted sets and hashes in Redis, changed by one Lua script per step. In the
/// steady state a grant costs one `EVALSHA`, and so does a release or a renewal.
///
/// **Waiting.** The head of the line takes the key itself: nobody is offered one. A KeyKeeper repeats `take` for the first
/// of its waiters when it hears that a key was released there, when the earliest lease expires, and otherwise every 25 ms or
/// so while it has waiters. An offer would have to be withdrawn when it is not taken, and could be lost with its reader; a
/// question asked again cannot. The price is a few questions a second of each KeyKeeper, and only while somebody waits.
///
/// **What Redis forgets.** Everything here can be rebuilt from the store, and must be after a restart or a failover of
/// Redis, even if the data came back from disk: `take` notices by the server's run id and says so. First-come order holds
/// between two rebuilds.
///
/// **Time** is the server's. If its clock jumps back, a lease still ends after the longest ttl at the latest; if it jumps
/// forward, keys become free too early, which the store notices when it is to grant them.
///
/// **Setup.** Set `maxmemory-policy noeviction`. All keys of an algorithm are in one hash slot, so a cluster serves too.
public final class RedisLeaseCache: LeaseCache {
  private let pool: RedisPool
  private let limits: LeaseCacheLimits
  private let timeout: Duration
  private let keys: [SignatureAlgorithm: [RedisArgument]]
  private let time: @Sendable () -> RedisArgument

  /// A cache in the database of `pool`.
  ///
  /// - Parameters:
  ///   - prefix: of all keys: set it when several installations share a database.
  ///   - limits: the same for all KeyKeepers.
  ///   - timeout: how long a step may take, waiting for a connection included.
  public convenience init(
    pool: RedisPool, prefix: String = "chancery", limits: LeaseCacheLimits = LeaseCacheLimits(),
    timeout: Duration = .seconds(1)
  ) {
    self.init(pool: pool, prefix: prefix, limits: limits, timeout: timeout, time: { "" })
  }

  /// - Parameter time: in microseconds, in place of the server's time; for tests of what time does.
  package convenience init(
    pool: RedisPool, prefix: String, limits: LeaseCacheLimits, timeout: Duration,
    microseconds time: @escaping @Sendable () -> Int64
  ) {
    self.init(pool: pool, prefix: prefix, limits: limits, timeout: timeout, time: { .integer(time()) })
  }

  private init(
    pool: RedisPool, prefix: String, limits: LeaseCacheLimits, timeout: Duration,
    time: @escaping @Sendable () -> RedisArgument
  ) {
    self.pool = pool
    self.limits = limits
    self.timeout = timeout
    self.time = time
    keys = Dictionary(
      uniqueKeysWithValues: SignatureAlgorithm.allCases.map { algorithm in
        (algorithm, LeaseScript.keyNames.map { .text("\(prefix):{leases-\(algorithm)}:\($0)") })
      })
  }

  /// See `LeaseCache`.
  public func take(_ requests: [TakeRequest]) async throws(StorageError) -> [TakeOutcome] {
    let steps = requests.map { request in
      Step(
        LeaseScript.take, request.algorithm,
        [
          .text(request.waiter.keyKeeper), .integer(request.waiter.number), .text(request.leaseID.description),
          .integer(request.ttl.microseconds), .integer(request.ticket ?? 0), .integer(Int64(limits.waiters)),
          .integer(limits.keyKeeperTimeout.microseconds), .integer(Int64(limits.expirationsPerStep)),
        ])
    }
    return try await run(steps) { value throws(RedisError) in try TakeOutcome(value) }
  }

  /// See `LeaseCache`.
  public func leave(_ waiters: [WaiterID], algorithm: SignatureAlgorithm) async throws(StorageError) {
    let step = Step(LeaseScript.leave, algorithm, waiters.map { .text($0.description) })
    _ = try await run([step]) { value throws(RedisError) in try value.text() }
  }

  /// See `LeaseCache`.
  public func renew(
    _ lease: LeaseName, algorithm: SignatureAlgorithm, ttl: Duration
  ) async throws(StorageError) -> Bool {
    let step = Step(LeaseScript.renew, algorithm, lease.arguments + [.integer(ttl.microseconds)])
    return try await run([step]) { value throws(RedisError) in try value.int64() == 1 }[0]
  }

  /// See `LeaseCache`.
  public func release(
    _ leases: [LeaseName], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> [DecisionNumber?] {
    let steps = leases.map { Step(LeaseScript.release, algorithm, $0.arguments) }
    return try await run(steps) { value throws(RedisError) in
      value.isNull ? nil : try DecisionNumber(try value.array(count: 2)[...])
    }
  }

  /// See `LeaseCache`.
  @discardableResult
  public func install(
    generation: Int64, algorithm: SignatureAlgorithm, keys: [LeasedKeyState], unreleasedTTL: Duration
  ) async throws(StorageError) -> Bool {
    try LeaseCacheLimits.check(keyCount: keys.count, algorithm)
    let states = keys.flatMap { $0.arguments }
    let step = Step(
      LeaseScript.install, algorithm, [.integer(generation), .integer(unreleasedTTL.microseconds)] + states)
    return try await run([step]) { value throws(RedisError) in try value.int64() == 1 }[0]
  }

  /// See `LeaseCache`.
  public func update(
    _ updates: [KeyUpdate], algorithm: SignatureAlgorithm
  ) async throws(StorageError) -> UpdateOutcome {
    let step = Step(LeaseScript.update, algorithm, updates.flatMap { $0.arguments })
    return try await run([step]) { value throws(RedisError) in
      if value.isNull { return .mustRebuild }
      let values = try value.array()
      var joined: [KeyID] = []
      for key in values.dropFirst(2) { joined.append(try KeyID(key)) }
      return joined.isEmpty ? .known : .joined(joined, try DecisionNumber(values.prefix(2)))
    }[0]
  }

  /// See `LeaseCache`.
  public func occupancy(_ algorithm: SignatureAlgorithm) async throws(StorageError) -> LeaseOccupancy? {
    try await run([Step(LeaseScript.occupancy, algorithm, [])]) { value throws(RedisError) in
      if value.isNull { return nil }
      let counts = try value.array(count: 3)
      return LeaseOccupancy(
        free: Int(try counts[0].int64()), leased: Int(try counts[1].int64()), waiting: Int(try counts[2].int64()))
    }[0]
  }

  /// A script and what it takes beyond what all take.
  private struct Step {
    var script: RedisScript
    var algorithm: SignatureAlgorithm
    var arguments: [RedisArgument]

    init(_ script: RedisScript, _ algorithm: SignatureAlgorithm, _ arguments: [RedisArgument]) {
      self.script = script
      self.algorithm = algorithm
      self.arguments = arguments
    }
  }

  /// Runs the steps in one round trip, in order.
  private func run<Value>(
    _ steps: [Step], _ decode: (RedisValue) throws(RedisError) -> Value
  ) async throws(StorageError) -> [Value] {
    let deadline = ContinuousClock.now + timeout
    let time = self.time()
    do {
      let answers = try await pool.withConnection(deadline: deadline) { connection in
        let shared: [RedisArgument] = [
          .text(connection.runID.rawValue), time, .integer(limits.maximumTTL.microseconds),
        ]
        let calls = steps.map { RedisCall($0.script, keys: keys[$0.algorithm]!, arguments: shared + $0.arguments) }
        return try await connection.eval(calls, deadline: deadline)
      }
      return try answers.map { try decode(try $0.get()) }
    } catch let error as RedisError {
      throw StorageError(error)
    } catch {
      preconditionFailure("the Redis driver threw \(error)")
    }
  }
}
