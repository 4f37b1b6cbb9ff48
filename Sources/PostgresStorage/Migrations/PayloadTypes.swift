/// Sources whose payloads are text.
enum PayloadTypes {
  static let migration = Migration(
    version: 3, name: "payload types",
    sql: """
      -- Of text, the UTF-8 bytes are signed.
      ALTER TABLE chancery.sources
        ADD COLUMN payload_type text NOT NULL DEFAULT 'bytea' CHECK (payload_type IN ('bytea', 'text'));
      """)
}
