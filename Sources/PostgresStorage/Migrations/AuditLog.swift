/// What has happened, chained by hashes: see docs/audit-log.md.
enum AuditLog {
  static let migration = Migration(
    version: 4, name: "audit log", sql: [tables, sealing, jobs, keys, batches, grants].joined(separator: "\n\n"))

  private static let tables = """
    -- What has happened and is not sealed yet. Triggers write it in the transaction of what happened: it is there if that
    -- is, whoever did it, and nobody but them and the owner can write it.
    CREATE TABLE chancery.audit_pending (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      entry text NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 2000);

    -- Only ever added to, by seal_audit_log. The text of an entry is what is hashed, to the byte.
    CREATE TABLE chancery.audit_log (
      seq bigint PRIMARY KEY CHECK (seq >= 0),
      entry text NOT NULL,
      hash bytea NOT NULL CHECK (octet_length(hash) = 32)
    );

    CREATE FUNCTION chancery.note_audit(event text, particulars jsonb) RETURNS void
    LANGUAGE sql VOLATILE AS $$
      INSERT INTO chancery.audit_pending (entry) VALUES (
        (jsonb_build_object(
          'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
          'event', event, 'role', session_user) || jsonb_strip_nulls(particulars))::text)
    $$;
    REVOKE EXECUTE ON FUNCTION chancery.note_audit(text, jsonb) FROM PUBLIC;
    """

  private static let sealing = """
    CREATE FUNCTION chancery.audit_hash(previous bytea, seq bigint, entry text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT sha256(previous || int8send(seq) || convert_to(entry, 'UTF8'))
    $$;

    -- The beginning, which is different in every database.
    INSERT INTO chancery.audit_log (seq, entry, hash)
      SELECT 0, entry, chancery.audit_hash(decode(repeat('00', 32), 'hex'), 0, entry)
      FROM (SELECT jsonb_build_object('event', 'log.began', 'log_id', gen_random_uuid())::text) one(entry);

    -- Moves entries, the oldest first, from what is pending into the log; returns how many, and the head of the log then.
    CREATE FUNCTION chancery.seal_audit_log(maximum integer, OUT sealed integer, OUT seq bigint, OUT hash bytea)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      one record;
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtextextended('chancery.audit_log', 0));
      SELECT l.seq, l.hash INTO seq, hash FROM chancery.audit_log l ORDER BY l.seq DESC LIMIT 1;
      IF seq IS NULL THEN RAISE EXCEPTION 'the audit log has lost its beginning'; END IF;
      sealed := 0;
      FOR one IN
        WITH taken AS (
          DELETE FROM chancery.audit_pending p
          WHERE p.id IN (SELECT o.id FROM chancery.audit_pending o ORDER BY o.id LIMIT maximum)
          RETURNING p.id, p.entry)
        SELECT t.entry FROM taken t ORDER BY t.id
      LOOP
        seq := seq + 1;
        hash := chancery.audit_hash(hash, seq, one.entry);
        INSERT INTO chancery.audit_log VALUES (seq, one.entry, hash);
        sealed := sealed + 1;
      END LOOP;
    END $$;
    REVOKE EXECUTE ON FUNCTION chancery.seal_audit_log(integer) FROM PUBLIC;
    """

  private static let jobs = """
    CREATE FUNCTION chancery.audit_source() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      PERFORM chancery.note_audit('source.added', jsonb_build_object(
        'source', NEW.name, 'relation', NEW.relation, 'id_column', NEW.id_column, 'payload_column', NEW.payload_column));
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER INSERT ON chancery.sources FOR EACH ROW EXECUTE FUNCTION chancery.audit_source();

    CREATE FUNCTION chancery.audit_job() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        PERFORM chancery.note_audit('job.submitted', jsonb_build_object(
          'job_id', NEW.id, 'source', (SELECT s.name FROM chancery.sources s WHERE s.id = NEW.source_id),
          'algorithm', NEW.algorithm, 'form', NEW.form, 'batch_size', NEW.batch_size, 'priority', NEW.priority,
          'record_bound', NEW.record_bound));
      ELSE
        PERFORM chancery.note_audit(
          CASE
            WHEN NEW.state <> 'running' THEN 'job.' || NEW.state
            WHEN OLD.state = 'paused' THEN 'job.resumed'
            ELSE 'job.retried'
          END,
          jsonb_build_object(
            'job_id', NEW.id, 'signed', NEW.total_signed, 'already_signed', NEW.total_already,
            'failed', NEW.total_failed));
      END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_submission AFTER INSERT ON chancery.jobs
      FOR EACH ROW EXECUTE FUNCTION chancery.audit_job();
    CREATE TRIGGER audit_state AFTER UPDATE OF state ON chancery.jobs
      FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION chancery.audit_job();
    """

  private static let keys = """
    CREATE FUNCTION chancery.audit_key() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        PERFORM chancery.note_audit('key.added', jsonb_build_object(
          'key_id', NEW.id, 'algorithm', NEW.algorithm, 'label', NEW.label, 'state', NEW.state,
          'public_key_sha256', encode(sha256(NEW.public_key), 'hex')));
      ELSE
        PERFORM chancery.note_audit(
          'key.' || CASE NEW.state WHEN 'active' THEN 'enabled' ELSE NEW.state END,
          jsonb_build_object('key_id', NEW.id, 'epoch', NEW.epoch));
      END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_addition AFTER INSERT ON chancery.keys
      FOR EACH ROW EXECUTE FUNCTION chancery.audit_key();
    CREATE TRIGGER audit_state AFTER UPDATE OF state ON chancery.keys
      FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION chancery.audit_key();

    CREATE FUNCTION chancery.audit_lease() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      PERFORM chancery.note_audit('lease.granted', jsonb_build_object(
        'key_id', NEW.key_id, 'epoch', NEW.epoch, 'lease_id', NEW.lease_id, 'holder', NEW.holder));
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER INSERT ON chancery.key_leases
      FOR EACH ROW EXECUTE FUNCTION chancery.audit_lease();
    """

  private static let batches = """
    CREATE FUNCTION chancery.audit_batch() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      PERFORM chancery.note_audit('batch.signed', jsonb_build_object(
        'job_id', NEW.job_id, 'batch', NEW.seq, 'attempt', NEW.attempt, 'key_id', NEW.key_id, 'epoch', NEW.key_epoch,
        'lease_id', NEW.lease_id, 'signer', NEW.signer, 'signed', NEW.inserted, 'already_signed', NEW.already,
        'failed', NEW.failed));
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit AFTER UPDATE OF state ON chancery.batches
      FOR EACH ROW WHEN (NEW.state = 'signed' AND OLD.state <> 'signed') EXECUTE FUNCTION chancery.audit_batch();

    -- A refusal changes nothing that a trigger could see: the coordinator says it.
    CREATE FUNCTION chancery.audit_refusal(
      job uuid, batch integer, attempt integer, key bigint, epoch bigint, lease uuid, signer uuid, reason text
    ) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      SELECT chancery.note_audit('batch.refused', jsonb_build_object(
        'job_id', job, 'batch', batch, 'attempt', attempt, 'key_id', key, 'epoch', epoch, 'lease_id', lease,
        'signer', signer, 'reason', reason))
    $$;
    REVOKE EXECUTE ON FUNCTION chancery.audit_refusal(uuid, integer, integer, bigint, bigint, uuid, uuid, text)
      FROM PUBLIC;
    """

  private static let grants = """
    DO $$
    BEGIN
      IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chancery_coordinator') THEN
        GRANT EXECUTE ON FUNCTION
          chancery.audit_refusal(uuid, integer, integer, bigint, bigint, uuid, uuid, text) TO chancery_coordinator;
      END IF;
      IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chancery_logger') THEN
        GRANT EXECUTE ON FUNCTION chancery.seal_audit_log(integer) TO chancery_logger;
      END IF;
    END $$;
    """
}
