extension InitialSchema {
  /// What services report.
  static let events = """
    CREATE SEQUENCE chancery.event_ids;

    -- What the Logger stores, a partition for each day (UTC) on which it was stored: reporters' clocks may be wrong.
    CREATE TABLE chancery.events (
      id bigint NOT NULL DEFAULT nextval('chancery.event_ids'),
      stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      at timestamptz NOT NULL,
      level text NOT NULL,
      service text NOT NULL,
      instance text NOT NULL,
      name text NOT NULL,
      message text NOT NULL,
      attributes jsonb NOT NULL,
      PRIMARY KEY (stored_at, id)
    ) PARTITION BY RANGE (stored_at);

    -- Makes the partitions of today and tomorrow. Runs with the rights of the owner, so that the role of the Logger needs
    -- none to create tables.
    CREATE FUNCTION chancery.create_event_partitions() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
      day date;
      name text;
    BEGIN
      FOR day IN SELECT today + ahead FROM generate_series(0, 1) ahead LOOP
        name := 'events_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('chancery.' || name) IS NULL THEN
          -- Two callers must not make the same one.
          PERFORM pg_advisory_xact_lock(hashtextextended('chancery.events', 0));
          EXECUTE format(
            'CREATE TABLE IF NOT EXISTS chancery.%I PARTITION OF chancery.events FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        END IF;
      END LOOP;
    END $$;
    REVOKE EXECUTE ON FUNCTION chancery.create_event_partitions() FROM PUBLIC;

    -- Drops the partitions of all but the last days; returns how many there were.
    CREATE FUNCTION chancery.drop_event_partitions(days_kept integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      oldest text := 'events_' || to_char((clock_timestamp() AT TIME ZONE 'UTC')::date - days_kept + 1, 'YYYYMMDD');
      partition regclass;
      dropped integer := 0;
    BEGIN
      IF days_kept < 1 THEN RAISE EXCEPTION 'at least one day of events is kept, not %', days_kept; END IF;
      FOR partition IN
        SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'chancery.events'::regclass AND c.relname < oldest
      LOOP
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
      END LOOP;
      RETURN dropped;
    END $$;
    REVOKE EXECUTE ON FUNCTION chancery.drop_event_partitions(integer) FROM PUBLIC;

    SELECT chancery.create_event_partitions();
    """
}
