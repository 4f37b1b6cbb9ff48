/// What must be there before the first migration. Each statement does nothing where it has been done.
enum Bootstrap {
  /// The roles and the schema.
  static let roles = """
    -- Roles are shared by all databases of a server: another database may have made them, or be making them right now.
    DO $$
    DECLARE
      wanted text;
    BEGIN
      FOREACH wanted IN ARRAY ARRAY[
        'chancery_migrate', 'chancery_coordinator', 'chancery_keykeeper', 'chancery_logger']
      LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
          BEGIN
            -- Without a password: nobody can use it until the operator has given it one, or trusts whoever connects.
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
          EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
              RAISE WARNING 'role % does not exist, and % may not create it: see docs/database.md',
                wanted, current_user;
          END;
        END IF;
      END LOOP;

      IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'chancery') THEN
        -- Everything belongs to the role that migrates, whoever runs the first migration.
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'chancery_migrate')
          AND pg_has_role(current_user, 'chancery_migrate', 'MEMBER')
        THEN
          CREATE SCHEMA chancery AUTHORIZATION chancery_migrate;
        ELSE
          CREATE SCHEMA chancery;
        END IF;
      END IF;
    END $$;
    """

  /// Makes the owner of the schema the one who runs the rest of the transaction, so that everything belongs to it, whoever
  /// migrates.
  static let becomeOwner = """
    DO $$
    DECLARE
      owner name := (SELECT nspowner::regrole::name FROM pg_namespace WHERE nspname = 'chancery');
    BEGIN
      IF owner <> current_user AND pg_has_role(current_user, owner, 'MEMBER') THEN
        EXECUTE format('SET LOCAL ROLE %I', owner);
      END IF;
    END $$;
    """

  /// Where it is written down what was applied.
  static let ledger = """
    CREATE TABLE IF NOT EXISTS chancery.schema_migrations (
      version integer PRIMARY KEY,
      name text NOT NULL,
      -- SHA-256 of the statements, in hexadecimal.
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      applied_by text NOT NULL DEFAULT session_user
    )
    """
}
