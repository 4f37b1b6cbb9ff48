extension InitialSchema {
  /// The keyring, its leases, and the trail of key use.
  static let keys = """
    CREATE SEQUENCE chancery.key_ids;
    CREATE SEQUENCE chancery.cache_generations;

    -- Narrow and hot: every lease changes its row twice. No index has a column that a lease changes, so that with room in
    -- the page the new version needs no index entry (HOT).
    CREATE TABLE chancery.keys (
      id bigint PRIMARY KEY,
      epoch bigint NOT NULL DEFAULT 0,
      lease_until timestamptz NOT NULL DEFAULT '-infinity',
      lease_id uuid,
      -- 0: no cache may grant it.
      cache_generation bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      algorithm smallint NOT NULL,
      state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'retired')),
      -- Never set. A commit locks its key FOR SHARE, which takes the privilege to update some column: the role of the
      -- coordinator has it for this one alone.
      row_lock boolean,
      label text NOT NULL,
      -- DER of the SubjectPublicKeyInfo.
      public_key bytea NOT NULL
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 200);
    CREATE UNIQUE INDEX keys_public_key ON chancery.keys (sha256(public_key));
    CREATE INDEX keys_algorithm ON chancery.keys (algorithm, id);

    -- For the role of KeyKeeper alone.
    CREATE TABLE chancery.key_secrets (
      key_id bigint PRIMARY KEY REFERENCES chancery.keys,
      key_encryption_key_id text NOT NULL,
      wrapped_private_key bytea NOT NULL
    );

    -- The trail of key use. A lease has ended when it has an outcome. With which decision the cache then made the key free
    -- (freed_generation, freed_sequence) may be written later or, after a crash, never.
    CREATE TABLE chancery.key_leases (
      key_id bigint NOT NULL,
      epoch bigint NOT NULL,
      lease_id uuid NOT NULL UNIQUE,
      holder uuid NOT NULL,
      granted_generation bigint NOT NULL,
      granted_sequence bigint NOT NULL,
      granted_rank bigint NOT NULL,
      granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      granted_lsn bigint NOT NULL DEFAULT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
      freed_generation bigint,
      freed_sequence bigint,
      ended_at timestamptz,
      outcome text CHECK (outcome IN ('superseded', 'released', 'expired')),
      PRIMARY KEY (key_id, epoch)
    ) WITH (fillfactor = 80);

    -- Decisions of the cache that are not part of a lease: how a generation began, keys that it took up, picks that were
    -- refused, keys that became free from a pick that was never granted. key_id is 0 where it is about no key.
    CREATE TABLE chancery.key_decisions (
      generation bigint NOT NULL,
      sequence bigint NOT NULL,
      key_id bigint NOT NULL,
      -- As LeaseReplay numbers them: 0 generation began, 1 free, 3 failed pick, 4 held, 5 nothing but the number.
      kind smallint NOT NULL,
      rank bigint NOT NULL,
      lease_id uuid,
      made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      lsn bigint NOT NULL DEFAULT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
      PRIMARY KEY (generation, sequence, key_id)
    );

    -- The newest generation of each algorithm.
    CREATE TABLE chancery.generations (
      algorithm smallint PRIMARY KEY,
      generation bigint NOT NULL
    );

    -- The states that a key has had since it was added.
    CREATE TABLE chancery.key_changes (
      key_id bigint NOT NULL,
      lsn bigint NOT NULL DEFAULT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
      state text NOT NULL,
      epoch bigint NOT NULL,
      changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (key_id, lsn)
    );
    """
}
