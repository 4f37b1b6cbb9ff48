extension InitialSchema {
  /// Jobs, their batches, and who works on them.
  static let jobs = """
    CREATE TABLE chancery.jobs (
      id uuid PRIMARY KEY,
      -- The order of age.
      number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      source_id integer NOT NULL REFERENCES chancery.sources,
      algorithm smallint NOT NULL,
      batch_size integer NOT NULL CHECK (batch_size BETWEEN 1 AND 10000),
      priority smallint NOT NULL CHECK (priority BETWEEN -100 AND 100),
      state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
      idempotency_key text UNIQUE,
      -- Records up to this id belong to the job.
      record_bound bigint NOT NULL,
      -- What is planned: records below next_id, in batches below next_seq; all if planned.
      next_id bigint NOT NULL DEFAULT -9223372036854775808,
      next_seq integer NOT NULL DEFAULT 0,
      planned boolean NOT NULL DEFAULT false,
      -- What a replica must have replayed to know the records, in bytes of write-ahead log, and on which timeline.
      wal_position bigint NOT NULL,
      wal_timeline integer NOT NULL,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      ended_at timestamptz,
      -- Set when the job ends. Until then they are counted from the batches, for no commit may wait for another here.
      total_planned bigint,
      total_signed bigint,
      total_failed bigint,
      total_already bigint,
      total_batches bigint,
      total_batches_signed bigint
    ) WITH (fillfactor = 70);
    CREATE INDEX jobs_newest ON chancery.jobs (created_at DESC, id DESC);
    CREATE INDEX jobs_open ON chancery.jobs (priority DESC, number) WHERE state IN ('running', 'paused');

    CREATE TABLE chancery.batches (
      job_id uuid NOT NULL REFERENCES chancery.jobs,
      seq integer NOT NULL,
      attempt integer NOT NULL DEFAULT 0,
      -- Of the job: the order in which batches are given out.
      job_number bigint NOT NULL,
      first_id bigint NOT NULL,
      last_id bigint NOT NULL,
      count integer NOT NULL CHECK (count > 0),
      priority smallint NOT NULL,
      state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'leased', 'signed', 'failed', 'cancelled')),
      is_open boolean NOT NULL GENERATED ALWAYS AS (state IN ('pending', 'leased')) STORED,
      failures integer NOT NULL DEFAULT 0,
      signer_losses integer NOT NULL DEFAULT 0,
      not_before timestamptz NOT NULL DEFAULT '-infinity',
      coordinator uuid,
      claim_id uuid,
      claimed_at timestamptz,
      -- Why it last came back.
      note text,
      -- Of the commit.
      signer uuid,
      key_id bigint,
      key_epoch bigint,
      lease_id uuid,
      inserted integer NOT NULL DEFAULT 0,
      already integer NOT NULL DEFAULT 0,
      failed integer NOT NULL DEFAULT 0,
      signed_at timestamptz,
      -- The end of the write-ahead log at that time: unlike a clock it never goes back.
      signed_lsn bigint,
      PRIMARY KEY (job_id, seq)
    -- Every batch is updated twice at least and its versions before are garbage, which claims would have to step over.
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500,
      autovacuum_analyze_scale_factor = 0.05);
    -- Serves claims, the search for a coordinator's batches, and the question whether a job has an open batch. Whoever
    -- wants it says is_open: a commit, which names one batch and its state, must never be planned to look through it.
    CREATE INDEX batches_open ON chancery.batches (state, priority DESC, job_number, seq) WHERE is_open;

    CREATE TABLE chancery.record_failures (
      job_id uuid NOT NULL,
      source_id integer NOT NULL,
      record_id bigint NOT NULL,
      batch_seq integer NOT NULL,
      attempt integer NOT NULL,
      failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      code text NOT NULL,
      message text NOT NULL,
      PRIMARY KEY (job_id, source_id, record_id)
    );
    CREATE INDEX record_failures_record ON chancery.record_failures (source_id, record_id);

    CREATE TABLE chancery.coordinators (
      id uuid PRIMARY KEY,
      heartbeat_at timestamptz NOT NULL
    ) WITH (fillfactor = 50);

    -- The first batch of a job whose last id is at least the record's: that which covers the record, or else the next.
    -- Batches are planned in the order of ids, so that halving finds it without an index that every commit had to keep.
    CREATE FUNCTION chancery.batch_from(wanted_job uuid, wanted_record bigint) RETURNS integer
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      low integer := 0;
      high integer := (SELECT next_seq FROM chancery.jobs WHERE id = wanted_job);
      middle integer;
    BEGIN
      WHILE low < high LOOP
        middle := low + (high - low) / 2;
        IF (SELECT last_id FROM chancery.batches WHERE job_id = wanted_job AND seq = middle) < wanted_record THEN
          low := middle + 1;
        ELSE
          high := middle;
        END IF;
      END LOOP;
      RETURN low;
    END $$;
    """
}
