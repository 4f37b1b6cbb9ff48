import FaultyNetworking
import Foundation
import LocalServers

// Postgres and Redis that end, forget, refuse and fall behind.
extension ChaosFault {
  static let postgres = [
    ChaosFault(
      name: "postgres-killed", layer: .postgres, about: "kill -9 of Postgres and its sessions, which is started again",
      effects: [.text("database system was not properly shut down", by: "postgres"), .stoodStill]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.postgres.kill9()
      run.hit()
      try await run.sleep(1)
      try await run.cluster.postgres.restart()
    },
    ChaosFault(
      name: "postgres-restarted", layer: .postgres, about: "a fast shutdown of Postgres, which is started again",
      effects: [.text("received fast shutdown request", by: "postgres"), .stoodStill]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.postgres.stop()
      run.hit()
      try await run.sleep(1)
      try await run.cluster.postgres.restart()
    },
    ChaosFault(
      name: "postgres-stopped", layer: .postgres,
      about: "kill -STOP of Postgres and its sessions, longer than a lease lives",
      effects: [.stoodStill]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.postgres.pause()
      run.hit()
      try await run.sleep(longerThanLease)
      await run.cluster.postgres.resume()
    },
    ChaosFault(
      name: "postgres-failover-synchronous", layer: .postgres,
      about: "the primary is killed, and its synchronous standby promoted",
      effects: [.text("selected new timeline ID: 2", by: "postgres")],
      shape: { $0.standby = .synchronous }
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.failOver()
      run.hit()
    },
    ChaosFault(
      name: "postgres-failover-lagging", layer: .postgres,
      about: "the primary is killed, and a standby promoted to which the last commits did not come",
      effects: [.text("selected new timeline ID: 2", by: "postgres")], losesCommits: true,
      shape: { $0.standby = .asynchronous }
    ) { run in
      try await run.untilSigned(0.2)
      var behind = FaultProxy.Weather()
      behind.held = [.toClient]
      for proxy in await run.cluster.proxies("standby", "postgres") { proxy.set(behind) }
      try await run.untilSigned(0.4)
      try await run.cluster.failOver()
      run.hit()
    },
    ChaosFault(
      name: "postgres-replica-lags", layer: .postgres,
      about: "payloads are read from a replica that falls behind, then goes on",
      effects: [
        .text("recovery has paused", by: "standby")
      ],
      shape: {
        $0.standby = .asynchronous
        $0.readsStandby = true
      }
    ) { run in
      guard let standby = await run.cluster.standby else { return }
      try await SQL.run("SELECT pg_wal_replay_pause()", on: standby.connectionString)
      run.hit()
      try await run.untilSigned(0.5)
      try await SQL.run("SELECT pg_wal_replay_resume()", on: standby.connectionString)
    },
    ChaosFault(
      name: "postgres-replica-killed", layer: .postgres, about: "kill -9 of the replica from which payloads are read",
      effects: [.text("unexpected EOF on standby connection", by: "postgres")],
      shape: {
        $0.standby = .asynchronous
        $0.readsStandby = true
      }
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.standby?.kill9()
      run.hit()
    },
    ChaosFault(
      name: "postgres-sessions-terminated", layer: .postgres,
      about: "pg_terminate_backend of all sessions, five times",
      effects: [.text("terminating connection due to administrator command", by: "postgres")]
    ) { run in
      for share in [0.1, 0.2, 0.3, 0.4, 0.5] {
        try await run.untilSigned(share)
        try await run.sql(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'chancery\\_%'")
        run.hit()
      }
    },
    ChaosFault(
      name: "postgres-serializable", layer: .postgres,
      about: "sessions are serializable unless they say otherwise, so that statements fail",
      effects: [.text("could not serialize access", by: "postgres")]
    ) { run in
      try await run.untilSigned(0.1)
      for role in ["coordinator", "keykeeper"] {
        try await run.sql("ALTER ROLE chancery_\(role) SET default_transaction_isolation = 'serializable'")
      }
      try await run.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'chancery\\_%'")
      run.hit()
    },
    ChaosFault(
      name: "postgres-connections-exhausted", layer: .postgres,
      about: "others take all connections to Postgres for three seconds",
      effects: [.text("remaining connection slots are reserved", by: "postgres")],
      shape: { $0.postgresConnections = 50 }
    ) { run in
      try await run.untilSigned(0.2)
      try await run.sql("CREATE ROLE greedy LOGIN")
      let url = await run.cluster.postgres.connectionString(user: "greedy")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 1...50 {
          group.addTask {
            // Some find no connection left, which is what this is for.
            try? await SQL.run("SELECT pg_sleep(3)", on: url)
          }
        }
        try await run.sleep(0.3)
        try await run.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'chancery\\_%'")
        run.hit()
        try await group.waitForAll()
      }
    },
    ChaosFault(
      name: "postgres-disk-full", layer: .postgres, about: "the disk of Postgres is full for three seconds",
      effects: [.text("No space left on device", by: "postgres")], needsRoot: true,
      shape: { $0.diskBytes = 400 << 20 }
    ) { run in
      try await run.untilSigned(0.2)
      for _ in 1...6 {
        try await run.cluster.fillDisk()
        try await run.sleep(0.5)
      }
      run.hit()
      try await run.cluster.emptyDisk()
      // It ends itself when it cannot write its log.
      if await run.cluster.postgres.pid == nil { try await run.cluster.postgres.restart() }
    },
    ChaosFault(
      name: "postgres-read-only", layer: .postgres, about: "Postgres is read-only for three seconds",
      effects: [.text("in a read-only transaction", by: "postgres")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.sql("ALTER SYSTEM SET default_transaction_read_only = on")
      try await run.sql("SELECT pg_reload_conf()")
      run.hit()
      try await run.sleep(3)
      // It is no transaction that writes.
      try await run.sql("ALTER SYSTEM RESET default_transaction_read_only")
      try await run.sql("SELECT pg_reload_conf()")
    },
  ]

  static let redis = [
    ChaosFault(
      name: "redis-killed", layer: .redis, about: "kill -9 of Redis, which is empty when it is started again",
      effects: [.rebuilt, .event("cache.failed")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.cluster.redis.kill9()
      run.hit()
      try await run.sleep(1)
      try await run.cluster.redis.restart()
    },
    ChaosFault(
      name: "redis-flushed", layer: .redis, about: "FLUSHALL, five times", effects: [.rebuilt]
    ) { run in
      for share in [0.1, 0.2, 0.3, 0.4, 0.5] {
        try await run.untilSigned(share)
        try await run.redis("FLUSHALL")
        run.hit()
      }
    },
    ChaosFault(
      name: "redis-failover-lagging", layer: .redis,
      about: "Redis is killed, and a replica takes its place to which the last decisions did not come",
      effects: [.rebuilt],
      shape: { $0.hasCacheReplica = true }
    ) { run in
      try await run.untilSigned(0.2)
      var behind = FaultProxy.Weather()
      behind.held = [.toClient]
      for proxy in await run.cluster.proxies("cache-replica", "redis") { proxy.set(behind) }
      try await run.untilSigned(0.4)
      try await run.cluster.failOverCache()
      run.hit()
    },
    ChaosFault(
      name: "redis-stopped", layer: .redis, about: "kill -STOP of Redis for longer than a lease lives",
      effects: [.event("cache.failed")]
    ) { run in
      try await run.untilSigned(0.2)
      await run.cluster.redis.pause()
      run.hit()
      try await run.sleep(longerThanLease)
      await run.cluster.redis.resume()
    },
    ChaosFault(
      name: "redis-out-of-memory", layer: .redis, about: "Redis is above maxmemory for three seconds",
      effects: [.event("cache.failed")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.redis("CONFIG", "SET", "maxmemory", "1")
      run.hit()
      try await run.sleep(3)
      try await run.redis("CONFIG", "SET", "maxmemory", "0")
    },
    ChaosFault(
      name: "redis-slow", layer: .redis, about: "every answer of Redis takes half a second longer, for five seconds",
      effects: [.stoodStill]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.weather(run.cluster.proxies("keykeeper", "redis"), for: 5) { $0.delay = .milliseconds(500) }
    },
    ChaosFault(
      name: "redis-wrong-password", layer: .redis, about: "Redis wants a password that KeyKeeper does not have",
      effects: [.event("cache.failed")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.redis("CONFIG", "SET", "requirepass", "of another")
      try await run.redis("--no-auth-warning", "-a", "of another", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      run.hit()
      try await run.sleep(3)
      try await run.redis("--no-auth-warning", "-a", "of another", "CONFIG", "SET", "requirepass", "")
    },
    ChaosFault(
      name: "redis-read-only", layer: .redis, about: "Redis is the replica of a server that does not answer",
      effects: [.event("cache.failed")]
    ) { run in
      try await run.untilSigned(0.2)
      try await run.redis("REPLICAOF", "127.0.0.1", "1")
      run.hit()
      try await run.sleep(3)
      try await run.redis("REPLICAOF", "NO", "ONE")
    },
  ]
}
