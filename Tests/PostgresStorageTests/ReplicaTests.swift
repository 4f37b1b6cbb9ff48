import Domain
import LocalServers
import PostgresDriver
import PostgresStorage
import Storage
import Testing
import TimeAndChance

// Proves when payloads are read from a replica: while it is one, and has replayed what a job needs; else the primary is read,
// so that no record is missed and none is read from a history that has parted. A real streaming replica of a private server
// is held up, promoted and killed.
@Suite("Payloads are read from a replica only if it knows them")
struct ReplicaTests {
  @Test func aReplicaThatHasReplayedAllIsReadAndThePrimaryIsNot() async throws {
    try await Rig.with { rig in
      let batch = try await rig.claimAll()
      try await rig.replicaCatchesUp(with: batch)
      #expect(try await rig.payloads(of: batch) == Rig.texts(3))
      try await rig.primary.pause()
      #expect(try await rig.payloads(of: batch) == Rig.texts(3))
      await rig.primary.resume()
    }
  }

  @Test func aReplicaThatLagsIsNotRead() async throws {
    try await Rig.with { rig in
      try await rig.onReplica("SELECT pg_wal_replay_pause()")
      try await rig.replicaSays("pg_get_wal_replay_pause_state() = 'paused'")
      try await rig.put(2, from: 4)
      #expect(try await rig.payloads(of: try await rig.claimAll()) == Rig.texts(5))
    }
  }

  @Test func aReplicaThatWasPromotedIsNotRead() async throws {
    try await Rig.with { rig in
      let batch = try await rig.claimAll()
      try await rig.replicaCatchesUp(with: batch)
      try await rig.onReplica("SELECT pg_promote()")
      try await rig.onReplica("UPDATE chancery.records SET payload = 'of another history'")
      #expect(try await rig.payloads(of: batch) == Rig.texts(3))
    }
  }

  @Test(arguments: [true, false]) func aReplicaThatIsGoneIsNotWaitedFor(_ isFrozen: Bool) async throws {
    try await Rig.with { rig in
      let batch = try await rig.claimAll()
      if isFrozen { try await rig.replica.pause() } else { try await rig.replica.kill9() }
      let started = ContinuousClock.now
      for _ in 1...50 { #expect(try await rig.payloads(of: batch) == Rig.texts(3)) }
      // Found out once; fifty reads that each waited for it would take that many seconds.
      #expect(started.duration(to: .now) < .seconds(5))
      await rig.replica.resume()
    }
  }

  /// A replica in the place of the primary, and a primary that does not answer, are told from one that takes changes.
  @Test func aPrimaryIsToldFromAReplica() async throws {
    try await Rig.with { rig in
      try await rig.database.checkPrimary(limit: .seconds(30))
      let wrong = PostgresDatabase(primary: try PostgresConfiguration(rig.replica.connectionString))
      let refused = await #expect(throws: StorageError.self) { try await wrong.checkPrimary(limit: .seconds(30)) }
      #expect(refused?.code == .unavailable && refused?.message.contains("takes no changes") == true)
      await wrong.close()
      try await rig.primary.pause()
      let silent = await #expect(throws: StorageError.self) {
        try await rig.database.checkPrimary(limit: .milliseconds(200))
      }
      #expect(silent?.code == .unavailable)
      await rig.primary.resume()
    }
  }
}

/// A primary with three records and a key, its replica, and a coordinator's stores over both.
private struct Rig {
  let primary: PrivatePostgres
  let replica: PrivatePostgres
  let database: PostgresDatabase
  private let random = SeededRandom(seed: 1)

  static func with(_ body: (Rig) async throws -> Void) async throws {
    try await PrivatePostgres.with { primary in
      let configuration = try PostgresConfiguration(primary.connectionString)
      let owner = PostgresDatabase(primary: configuration)
      _ = try await owner.schema.migrate()
      await owner.close()
      try await execute(
        "INSERT INTO chancery.keys (id, algorithm, label, public_key) VALUES (1, 1, '', '')", on: primary)
      var options = PrivatePostgres.Options()
      options.primary = primary.connectionString
      try await PrivatePostgres.with(options) { replica in
        let database = PostgresDatabase(
          primary: configuration, replica: try PostgresConfiguration(replica.connectionString))
        let rig = Rig(primary: primary, replica: replica, database: database)
        try await rig.put(3, from: 1)
        try await body(rig)
        await database.close()
      }
    }
  }

  static func texts(_ count: Int) -> [String] { (1...count).map { "payload \($0)" } }

  func put(_ count: Int, from first: Int) async throws {
    _ = try await database.put(
      (first..<first + count).map { NewRecord(payload: Array("payload \($0)".utf8), externalID: nil) })
  }

  /// A batch over all records that there are.
  func claimAll() async throws -> ClaimedBatch {
    let coordinator: CoordinatorID = id()
    _ = try await database.submit(
      JobSubmission(
        id: id(), sourceName: Source.records, algorithm: .ecdsaP256, batchSize: .default, priority: .default,
        idempotencyKey: nil))
    _ = try await database.plan(target: 1)
    try await database.heartbeat(coordinator)
    let claimed = try await database.claim([.ecdsaP256], coordinator: coordinator, claim: id(), limit: 1)
    return try #require(claimed.first)
  }

  func payloads(of batch: ClaimedBatch) async throws -> [String] {
    let page = try await database.payloads(of: batch, after: nil, maximumBytes: 1 << 20)
    var rest = page.payloads[...]
    return page.sizes.map { size in
      defer { rest = rest.dropFirst(Int(size)) }
      return String(decoding: rest.prefix(Int(size)), as: UTF8.self)
    }
  }

  func onReplica(_ sql: String) async throws { try await Self.execute(sql, on: replica) }

  func replicaCatchesUp(with batch: ClaimedBatch) async throws {
    let needed = try #require(batch.replayPosition)
    try await replicaSays("pg_last_wal_replay_lsn() - '0/0'::pg_lsn >= \(needed.position)")
  }

  /// Waits until the replica says so.
  func replicaSays(_ condition: String) async throws {
    try await onReplica(
      """
      DO $$ BEGIN
        FOR i IN 1..2000 LOOP
          IF \(condition) THEN RETURN; END IF;
          PERFORM pg_sleep(0.01);
        END LOOP;
        RAISE 'not within 20 s';
      END $$
      """)
  }

  private static func execute(_ sql: String, on server: PrivatePostgres) async throws {
    let connection = try await PostgresConnection.open(try PostgresConfiguration(server.connectionString))
    _ = try await connection.execute(sql)
    await connection.close()
  }

  private func id<Entity>() -> UniqueID<Entity> { UniqueID(bytes: random.nextUUID())! }
}
