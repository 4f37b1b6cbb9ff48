import Domain
import PostgresDriver
import PostgresStorage
import Storage
import StorageConformance
import Testing

// Proves what only Postgres can do with sources: views and text are signed in place; what cannot be a source is refused, with
// what is wrong; and a job over a view waits for those who write to the tables under it.
@Suite("Tables and views are sources", .timeLimit(.minutes(2)))
struct SourceTests {
  /// Of what the customer has; another test may have made it.
  private static let schema = """
    DROP SCHEMA IF EXISTS customer CASCADE; CREATE SCHEMA customer;
    GRANT USAGE ON SCHEMA customer TO chancery_coordinator, chancery_migrate;
    """

  @Test func textIsSignedAsItsUTF8Bytes() async throws {
    try await PostgresHarness.with { harness in
      try await harness.execute(
        """
        \(Self.schema)
        CREATE TABLE customer.letters (id bigint PRIMARY KEY, body text NOT NULL, short varchar(9) NOT NULL);
        INSERT INTO customer.letters VALUES (1, 'Grüße', 'a'), (2, '', 'b'), (3, repeat('é', 600000), 'c');
        GRANT SELECT ON customer.letters TO chancery_coordinator, chancery_migrate;
        """)
      let source = try await harness.add("letters", "customer.letters", payload: "body")
      #expect(source.payloadType == .text)
      #expect(try await harness.add("short", "customer.letters", payload: "short").payloadType == .text)
      let page = try await harness.payloads(of: source, 1...3)
      #expect(page.ids == [1, 2])
      #expect(page.payloads == Array("Grüße".utf8))
      #expect(page.failures == [.payloadTooLarge(RecordID(rawValue: 3), bytes: 1_200_000)])
      let record = try await harness.store.record(.id(RecordID(rawValue: 1)), source: source)
      #expect(record?.payload == Array("Grüße".utf8))
      await #expect(throws: StorageError.self) {
        try await harness.store.record(.id(RecordID(rawValue: 3)), source: source)
      }
    }
  }

  @Test func aViewIsReadOnceToSeeThatItsRowsAreRecords() async throws {
    try await PostgresHarness.with { harness in
      try await harness.execute(
        """
        \(Self.schema)
        CREATE TABLE customer.base (n bigint, body bytea);
        INSERT INTO customer.base VALUES (1, '\\x01'), (2, '\\x02');
        CREATE VIEW customer.seen AS SELECT n AS id, body FROM customer.base;
        CREATE MATERIALIZED VIEW customer.kept AS SELECT n AS id, body FROM customer.base;
        GRANT SELECT ON customer.seen, customer.kept TO chancery_coordinator, chancery_migrate;
        """)
      let source = try await harness.add("seen", "customer.seen", payload: "body")
      _ = try await harness.add("kept", "customer.kept", payload: "body")
      #expect(try await harness.payloads(of: source, 1...2).ids == [1, 2])
      // What a view comes to hold later is found when it is read.
      try await harness.execute("INSERT INTO customer.base VALUES (3, NULL)")
      #expect(try await harness.payloads(of: source, 1...3).failures == [.payloadMissing(RecordID(rawValue: 3))])
      for (row, words) in [("(3, NULL)", "payload"), ("(1, '\\x05')", "unique"), ("(NULL, '\\x05')", "no id")] {
        try await harness.execute("DELETE FROM customer.base WHERE n IS NULL OR body = '\\x05' OR body IS NULL")
        try await harness.execute("INSERT INTO customer.base VALUES \(row)")
        let error = await #expect(throws: StorageError.self) {
          try await harness.add("again", "customer.seen", payload: "body")
        }
        #expect(error?.code == .wrongState && error?.message.contains(words) == true, "\(error?.message ?? "")")
      }
    }
  }

  @Test(arguments: [
    ("id integer PRIMARY KEY, payload bytea NOT NULL", "must be bigint"),
    ("id bigint, payload bytea NOT NULL", "must be NOT NULL"),
    ("id bigint NOT NULL, payload bytea NOT NULL", "unique index"),
    ("id bigint PRIMARY KEY, payload integer NOT NULL", "must be bytea, text or varchar"),
    ("id bigint PRIMARY KEY, payload bytea", "must be NOT NULL"),
    ("id bigint PRIMARY KEY, other bytea", "no column payload"),
  ])
  func aTableThatCannotBeASourceIsRefused(_ columns: String, _ words: String) async throws {
    try await PostgresHarness.with { harness in
      try await harness.execute(
        """
        \(Self.schema)
        CREATE TABLE customer.bad (\(columns)); GRANT SELECT ON customer.bad TO chancery_coordinator, chancery_migrate;
        """)
      let error = await #expect(throws: StorageError.self) {
        try await harness.add("bad", "customer.bad", payload: "payload")
      }
      #expect(error?.code == .wrongState && error?.message.contains(words) == true, "\(error?.message ?? "")")
      #expect(try await harness.store.sources().map(\.name) == ["records"])
    }
  }

  @Test func aJobOverAViewWaitsForWritersOfItsTables() async throws {
    try await PostgresHarness.with { harness in
      try await harness.execute(
        """
        \(Self.schema)
        CREATE TABLE customer.base (id bigint PRIMARY KEY, body bytea NOT NULL);
        INSERT INTO customer.base VALUES (2, '\\x02');
        CREATE VIEW customer.inner_view AS SELECT * FROM customer.base;
        CREATE VIEW customer.outer_view AS SELECT id, body FROM customer.inner_view;
        GRANT SELECT ON customer.outer_view TO chancery_coordinator, chancery_migrate;
        """)
      let source = try await harness.add("outer", "customer.outer_view", payload: "body")
      let scene = SceneKeys(harness)
      try await scene.addKey()
      let submitted: JobID = try await harness.admin.withConnection { connection in
        _ = try await connection.execute("BEGIN; INSERT INTO customer.base VALUES (1, '\\x01')")
        let submission = try scene.submission(source.name)
        async let job = harness.store.submit(submission)
        // The submission has read the bound, and waits, when it looks at locks again and again.
        try await scene.waitUntilSomeoneLooksAtLocks(job: submission.id)
        _ = try await connection.execute("COMMIT")
        return try await job.id
      }
      _ = try await harness.store.plan(target: 10)
      #expect(try await harness.store.job(submitted)?.counts.planned == 2)
    }
  }
}

/// What a submission needs.
private struct SceneKeys {
  let harness: PostgresHarness

  init(_ harness: PostgresHarness) { self.harness = harness }

  func addKey() async throws {
    let ids = try await harness.store.reserveKeyIDs(1)
    _ = try await harness.store.insert(
      ids.map {
        NewKey(
          id: $0, algorithm: .ecdsaP256, publicKey: [1, 2, 3], wrappedPrivateKey: [4], keyEncryptionKeyID: "kek",
          label: "")
      })
  }

  func submission(_ source: String) throws -> JobSubmission {
    JobSubmission(
      id: try #require(JobID("0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11")), sourceName: source, algorithm: .ecdsaP256,
      batchSize: .default, priority: .default, idempotencyKey: nil)
  }

  /// Fails if the job is there while the writer is.
  func waitUntilSomeoneLooksAtLocks(job: JobID) async throws {
    for _ in 0..<2000 {
      let looking = try await harness.admin.query(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%virtualtransaction = ANY%' AND pid <> pg_backend_pid()"
      )
      if try looking.int64(0, 0) > 0 { break }
    }
    #expect(try await harness.store.job(job) == nil)
  }
}

extension PostgresHarness {
  /// Maps a relation as the owner of the schema.
  fileprivate func add(_ name: String, _ relation: String, payload: String) async throws -> Source {
    let owner = try Self.database(target, as: "chancery_migrate")
    let result: Result<Source, StorageError>
    do throws(StorageError) {
      result = .success(
        try await owner.addSource(named: name, relation: relation, idColumn: "id", payloadColumn: payload))
    } catch {
      result = .failure(error)
    }
    await owner.close()
    return try result.get()
  }

  fileprivate func payloads(of source: Source, _ ids: ClosedRange<Int64>) async throws -> PayloadPage {
    let job = try #require(JobID("0190a3c2-5c6e-7d3a-9f10-0c2b7f1f8a11"))
    let batch = ClaimedBatch(
      batch: BatchAttempt(jobID: job, seq: 0, attempt: 1), source: source, algorithm: .ed25519, form: .raw, trace: nil,
      firstID: RecordID(rawValue: ids.lowerBound), lastID: RecordID(rawValue: ids.upperBound), count: ids.count,
      replayPosition: nil)
    return try await store.payloads(of: batch, after: nil, maximumBytes: .max)
  }
}
