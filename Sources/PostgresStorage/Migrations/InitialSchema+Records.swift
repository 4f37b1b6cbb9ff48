extension InitialSchema {
  /// Records, where they live, and the signatures over them.
  static let records = """
    CREATE TABLE chancery.sources (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
      -- Names as SQL wants them, quoted where needed.
      relation text NOT NULL,
      id_column text NOT NULL,
      payload_column text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    INSERT INTO chancery.sources (name, relation, id_column, payload_column)
      VALUES ('records', 'chancery.records', 'id', 'payload');

    -- Only ever added to: no role may change or remove a record.
    CREATE TABLE chancery.records (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      external_id text,
      payload bytea NOT NULL
    );
    CREATE UNIQUE INDEX records_external_id ON chancery.records (external_id) WHERE external_id IS NOT NULL;

    -- The guarantee: one row per record, whatever happens. Job, batch and key are not foreign keys: to check one costs
    -- more than the rest of the insert, and nothing that they name is ever deleted.
    CREATE TABLE chancery.signatures (
      record_id bigint NOT NULL,
      key_id bigint NOT NULL,
      key_epoch bigint NOT NULL,
      signed_at timestamptz NOT NULL,
      job_id uuid NOT NULL,
      source_id integer NOT NULL,
      batch_seq integer NOT NULL,
      algorithm smallint NOT NULL,
      payload_digest bytea NOT NULL CHECK (octet_length(payload_digest) = 32),
      signature bytea NOT NULL,
      PRIMARY KEY (source_id, record_id)
    ) WITH (autovacuum_analyze_scale_factor = 0.05);
    """
}
