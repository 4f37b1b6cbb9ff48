import DedicatedThreads
import Domain
import LocalServers
import RedisDriver
import RedisLeases
import Storage
import Testing
import TimeAndChance

/// Proves what is particular to Redis: one command per step, that a cache which was lost in any way asks to be rebuilt, what
/// a clock that jumps does, and how a server that cannot be used shows. Against a private server, seen by MONITOR.
@Suite struct RedisLeaseCacheTests {
  private func run(
    _ options: PrivateRedis.Options = PrivateRedis.Options(),
    _ body: @Sendable (RedisLeaseCache, RedisPool, PrivateRedis, HandTime) async throws -> Void
  ) async throws {
    let time = HandTime()
    try await PrivateRedis.with(options) { server in
      try await withRedisCache(server, time) { cache, pool in
        try await body(cache, pool, server, time)
      }
    }
  }

  @Test func eachStepIsOneEVALSHA() async throws {
    try await run { cache, pool, server, _ in
      _ = try await cache.install(1, [state(1), state(2), state(3)])
      // The first use of a script loads it.
      _ = try await cache.take(request(90))
      _ = try await cache.renew(name(1, lease(90)), ttl: .seconds(5))
      _ = try await cache.release(name(1, lease(90)))
      var monitor = try RedisMonitor(server)
      for number in 1...20 {
        let key = try #require(try await cache.take(request(Int64(number))).key)
        #expect(try await monitor.commands(pool) == ["EVALSHA"])
        #expect(try await cache.renew(name(key, lease(Int64(number))), ttl: .seconds(5)))
        #expect(try await monitor.commands(pool) == ["EVALSHA"])
        #expect(try await cache.release(name(key, lease(Int64(number)))) != nil)
        #expect(try await monitor.commands(pool) == ["EVALSHA"])
      }
      let outcomes = try await cache.take([request(21), request(22), request(23)])
      #expect(outcomes.allSatisfy { $0.key != nil })
      #expect(try await monitor.commands(pool) == ["EVALSHA", "EVALSHA", "EVALSHA"])
    }
  }

  @Test func forgottenScriptsAreLoadedAgain() async throws {
    try await run { cache, pool, _, _ in
      _ = try await cache.install(1, [state(1), state(2)])
      #expect(try await cache.take(request(1)).key == 1)
      _ = try await pool.command(["SCRIPT", "FLUSH"])
      #expect(try await cache.take([request(2), request(3)]).map(\.key) == [2, nil])
    }
  }

  @Test func aFlushedCacheMustBeRebuilt() async throws {
    try await run { cache, pool, _, _ in
      _ = try await cache.install(4, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      _ = try await pool.command(["FLUSHALL"])
      #expect(try await cache.take(request(2)).result == .mustRebuild)
      #expect(try await cache.release(name(1, lease(1))) == nil)
      #expect(try await cache.occupancy() == nil)
      // Nothing is left that would make an older generation wrong: the store refuses its grants.
      #expect(try await cache.install(3, [state(1)]))
      #expect(try await cache.take(request(2)).pick?.decision.generation == 3)
    }
  }

  @Test(arguments: [false, true])
  func aRestartedServerMustBeRebuilt(keepsData: Bool) async throws {
    var options = PrivateRedis.Options()
    if keepsData { options.settings = ["appendonly": "yes", "appendfsync": "always"] }
    try await run(options) { cache, pool, server, _ in
      _ = try await cache.install(4, [state(1), state(2)])
      #expect(try await cache.take(request(1)).key == 1)
      #expect(try await cache.take(request(2)).key == 2)
      #expect(try await cache.take(request(3)).position == 0)
      try await server.restart()
      var size: Int64?
      // While the server reads its data it accepts connections and refuses commands.
      while size == nil { size = try? await pool.command(["DBSIZE"], isIdempotent: true).int64() }
      #expect((try #require(size) > 0) == keepsData)
      #expect(try await cache.take(request(4)).result == .mustRebuild)
      #expect(try await cache.renew(name(1, lease(1)), ttl: .seconds(1)) == false)
      #expect(try await cache.release(name(1, lease(1))) == nil)
      #expect(try await cache.update(KeyUpdate(state(1))) == .mustRebuild)
      #expect(try await cache.install(5, [state(1, epoch: 1), state(2, epoch: 1)]))
      // Who was in line and whose line came back is still first.
      #expect(try await cache.take(request(4)).key == (keepsData ? nil : 1))
      #expect(try await cache.take(request(3)).pick?.decision.generation == 5)
    }
  }

  @Test(arguments: ["meta", "free", "live", "keys"])
  func aCacheThatWasEvictedInPartMustBeRebuilt(part: String) async throws {
    try await run { cache, pool, _, _ in
      _ = try await cache.install(1, [state(1), state(2)])
      #expect(try await cache.take(request(1)).key == 1)
      _ = try await pool.command(["DEL", "test:{leases-ed25519}:\(part)"])
      var last = try await cache.take(request(2))
      if last.key != nil { last = try await cache.take(request(3)) }
      #expect(last.result == .mustRebuild)
      // It stays so until it is rebuilt.
      #expect(try await cache.occupancy() == nil)
      #expect(try await cache.install(2, [state(1), state(2)]))
      #expect(try await cache.take(request(2, again: 1)).key == 1)
    }
  }

  @Test func aClockThatJumpsBackDoesNotMakeLeasesLonger() async throws {
    try await run { cache, _, _, time in
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, ttl: .seconds(10))).key == 1)
      #expect(try await cache.take(request(2, of: "dead")).position == 0)
      time.advance(by: .seconds(-3600))
      let longest = LeaseCacheLimits().maximumTTL
      #expect(try await cache.take(request(3)).nextExpiry == longest)
      // A KeyKeeper that called in the future is dropped no later than another.
      time.advance(by: .seconds(2) + .microseconds(1))
      #expect(try await cache.take(request(3)).position == 0)
      time.advance(by: longest)
      #expect(try await cache.take(request(3)).key == 1)
    }
  }

  @Test func theServersOwnTimeIsUsed() async throws {
    try await PrivateRedis.with { server in
      let pool = RedisPool(try RedisConfiguration(server.connectionString))
      let cache = RedisLeaseCache(pool: pool, timeout: .seconds(60))
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1, ttl: .seconds(100))).key == 1)
      let first = try #require(try await cache.take(request(2)).nextExpiry)
      let second = try #require(try await cache.take(request(2)).nextExpiry)
      #expect(second < first && first < .seconds(100) && second > .seconds(50))
      await pool.close()
    }
  }

  @Test func aClusterServesAnAlgorithmFromOneSlot() async throws {
    var options = PrivateRedis.Options()
    options.settings = ["cluster-enabled": "yes"]
    try await run(options) { cache, pool, _, _ in
      _ = try await pool.command(["CLUSTER", "ADDSLOTSRANGE", 0, 16383])
      while try await !pool.command(["CLUSTER", "INFO"]).text().contains("cluster_state:ok") {}
      _ = try await cache.install(1, [state(1)])
      #expect(try await cache.take(request(1)).key == 1)
      #expect(try await cache.take(request(2)).position == 0)
      #expect(try await cache.release(name(1, lease(1))) != nil)
      #expect(try await cache.update(KeyUpdate(state(2))) != .mustRebuild)
    }
  }

  @Test func aServerThatIsGoneIsUnavailableAndComesBack() async throws {
    try await run { cache, pool, server, time in
      _ = try await cache.install(1, [state(1)])
      try await server.kill9()
      let impatient = Self.impatient(pool, time)
      // The connection breaks; then there is none to send anything on.
      let error = await #expect(throws: StorageError.self) { try await impatient.take(request(1)) }
      #expect(error?.isRetryable == true || error?.code == .outcomeUnknown)
      let next = await #expect(throws: StorageError.self) { try await impatient.take(request(1)) }
      #expect(next?.code == .unavailable)
      try await server.restart()
      #expect(try await cache.take(request(1)).result == .mustRebuild)
    }
  }

  @Test func aRequestWithoutAnAnswerCanBeRepeated() async throws {
    try await run { cache, pool, server, time in
      _ = try await cache.install(1, [state(1), state(2)])
      // Opens the connection and loads the script.
      #expect(try await cache.take(request(1)).key == 1)
      await server.pause()
      var error: StorageError?
      // Under load the deadline may pass before anything is sent.
      while error?.code != .outcomeUnknown {
        error = await #expect(throws: StorageError.self) { try await Self.impatient(pool, time).take(request(2)) }
        #expect(error?.code == .outcomeUnknown || error?.code == .unavailable)
      }
      await server.resume()
      // The server found the request in its socket, and does what it says though nobody reads the answer.
      while try await cache.occupancy()?.leased != 2 {}
      #expect(try await cache.take(request(2)).pick?.decision.sequence == 4)
    }
  }

  private static func impatient(_ pool: RedisPool, _ time: HandTime) -> RedisLeaseCache {
    RedisLeaseCache(
      pool: pool, prefix: "test", limits: LeaseCacheLimits(), timeout: .milliseconds(50),
      microseconds: { time.microseconds })
  }

  @Test func aServerWithoutMemoryDoesAllOfAStepOrNothing() async throws {
    try await run { cache, pool, _, _ in
      _ = try await cache.install(1, [state(1)])
      _ = try await pool.command(["CONFIG", "SET", "maxmemory", "1"])
      // Redis refuses a script at its first write that needs memory, if it refuses it at all.
      #expect(try await cache.take(request(1)).key == 1)
      var expected = LeaseOccupancy(free: 0, leased: 1, waiting: 0)
      do throws(StorageError) {
        _ = try await cache.take([request(2)])
        expected.waiting = 1
      } catch {
        #expect(error.code == .unavailable)
      }
      #expect(try await cache.occupancy() == expected)
      #expect(try await cache.release(name(1, lease(1))) != nil)
    }
  }

  @Test func whatIsNoCacheIsReportedAsCorrupt() async throws {
    try await run { cache, pool, _, _ in
      _ = try await pool.command(["SET", "test:{leases-ed25519}:meta", "x"])
      let error = await #expect(throws: StorageError.self) { try await cache.take(request(1)) }
      #expect(error?.code == .corrupt)
    }
  }
}
