extension InitialSchema {
  /// What each role may do.
  static let grants = """
    -- What each service may do and nothing else. A role that does not exist is left out; docs/database.md has the list.
    DO $$
    DECLARE
      one record;
    BEGIN
      FOR one IN
        SELECT * FROM (VALUES
          ('chancery_coordinator', 'USAGE', 'SCHEMA chancery'),
          ('chancery_coordinator', 'SELECT', 'chancery.schema_migrations'),
          ('chancery_coordinator', 'SELECT', 'chancery.sources'),
          ('chancery_coordinator', 'SELECT, INSERT', 'chancery.records'),
          ('chancery_coordinator', 'SELECT, INSERT', 'chancery.signatures'),
          ('chancery_coordinator', 'SELECT, INSERT', 'chancery.record_failures'),
          -- All but what was promised at submission: source, algorithm, batch size, bound.
          ('chancery_coordinator', 'SELECT, INSERT, UPDATE (state, next_id, next_seq, planned, ended_at, '
            || 'total_planned, total_signed, total_failed, total_already, total_batches, total_batches_signed)',
            'chancery.jobs'),
          ('chancery_coordinator', 'SELECT, INSERT, UPDATE', 'chancery.batches'),
          ('chancery_coordinator', 'SELECT, INSERT, UPDATE, DELETE', 'chancery.coordinators'),
          ('chancery_coordinator', 'SELECT, UPDATE (row_lock)', 'chancery.keys'),
          ('chancery_coordinator', 'SELECT', 'chancery.key_leases'),
          ('chancery_coordinator', 'SELECT', 'chancery.key_decisions'),
          ('chancery_coordinator', 'SELECT', 'chancery.key_changes'),
          ('chancery_keykeeper', 'USAGE', 'SCHEMA chancery'),
          ('chancery_keykeeper', 'SELECT', 'chancery.schema_migrations'),
          ('chancery_keykeeper', 'SELECT, INSERT, UPDATE (epoch, lease_until, lease_id, cache_generation, state)',
            'chancery.keys'),
          ('chancery_keykeeper', 'SELECT, INSERT', 'chancery.key_secrets'),
          ('chancery_keykeeper', 'SELECT, INSERT, UPDATE (freed_generation, freed_sequence, ended_at, outcome)',
            'chancery.key_leases'),
          ('chancery_keykeeper', 'SELECT, INSERT', 'chancery.key_decisions'),
          ('chancery_keykeeper', 'SELECT, INSERT', 'chancery.key_changes'),
          ('chancery_keykeeper', 'SELECT, INSERT, UPDATE', 'chancery.generations'),
          ('chancery_keykeeper', 'USAGE', 'SEQUENCE chancery.key_ids'),
          ('chancery_keykeeper', 'USAGE', 'SEQUENCE chancery.cache_generations'),
          ('chancery_logger', 'USAGE', 'SCHEMA chancery'),
          ('chancery_logger', 'SELECT', 'chancery.schema_migrations'),
          ('chancery_logger', 'SELECT, INSERT', 'chancery.events'),
          ('chancery_logger', 'USAGE', 'SEQUENCE chancery.event_ids'),
          ('chancery_logger', 'EXECUTE', 'FUNCTION chancery.create_event_partitions()'),
          ('chancery_logger', 'EXECUTE', 'FUNCTION chancery.drop_event_partitions(integer)')
        ) AS grants (role, privileges, object)
      LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = one.role) THEN
          EXECUTE format('GRANT %s ON %s TO %I', one.privileges, one.object, one.role);
        END IF;
      END LOOP;
    END $$;
    """
}
