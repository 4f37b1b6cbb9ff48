/// What is signed of a record, chosen for each job.
enum SignatureForms {
  static let migration = Migration(
    version: 2, name: "signature forms",
    sql: """
      -- 1 raw, 2 JWS. Jobs that are there sign raw payloads; like the algorithm, it never changes.
      ALTER TABLE chancery.jobs ADD COLUMN form smallint NOT NULL DEFAULT 1;
      """)
}
